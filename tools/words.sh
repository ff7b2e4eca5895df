#!/usr/bin/env bash
# Measures how plainly comments and documentation are written, prints the result and fails outside the limits. It counts verbs
# of speech and vague pronouns (both lists are in the function count below) per 10,000 words in the comments of hand-written Go,
# Lua, shell and .proto files and in Markdown outside of code blocks. It also computes the share of comment lines: lines that hold
# a comment alone, of all lines that are not blank, in files other than Go tests.
#
# Usage: tools/words.sh [--list] [PATH...]
#   --list  print each line that contains one of the words, as file:line: word: text
#   PATH    files or directories of this repository; all of it by default
set -euo pipefail
cd "$(dirname "$0")/.."

max_speech_per_10000=15
max_pronouns_per_10000=5
min_comment_percent=12

list=0
if [ "${1:-}" = --list ]; then
  list=1
  shift
fi

# Untracked files count too, so that a new file is measured before it is committed.
hand_written() {
  git ls-files --cached --others --exclude-standard -- "$@" |
    grep -E '\.(go|lua|sh|proto|md)$' |
    git check-attr --stdin linguist-generated |
    awk -F ': ' '$NF != "set" && $NF != "true" { print $1 }' |
    grep -v '^third_party/' | sort -u |
    while IFS= read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done
}

mapfile -t files < <(hand_written "$@")
if [ "${#files[@]}" = 0 ]; then
  echo "no Go, Lua, shell, .proto or Markdown file in: $*" >&2
  exit 2
fi

awk -v list="$list" -v max_speech="$max_speech_per_10000" -v max_pronouns="$max_pronouns_per_10000" -v min_comments="$min_comment_percent" '
  # The pattern of what opens a string or a comment, by language. A character literal of Go counts as a string.
  function start_file(    ext) {
    ext = FILENAME; sub(/.*\./, "", ext)
    markdown = ext == "md"
    if (ext == "lua") { line_mark = "--"; opener = "--|\"|\047" }
    else if (ext == "sh") { line_mark = "#"; opener = "(^|[ \t])#|\"|\047" }
    else { line_mark = "//"; opener = "//|/\\*|\"|\047|`" }
    test = FILENAME ~ /_test\.go$/
    within = ""; fenced = 0
  }

  # comment_of returns the text of the line that is in comments. within is what the line begins in: "" for code, the
  # closing quote of a string, or "*/".
  function comment_of(line,    text, token, close_at) {
    text = ""; has_code = 0
    while (line != "") {
      if (within == "*/") {
        close_at = index(line, "*/")
        if (!close_at) return text " " line
        text = text " " substr(line, 1, close_at - 1); line = substr(line, close_at + 2); within = ""
      } else if (within != "") {
        has_code = 1
        close_at = close_of(line, within)
        if (!close_at) {
          # Only a raw string and the strings of a shell run over the end of the line.
          if (within != "`" && line_mark != "#") within = ""
          return text
        }
        line = substr(line, close_at + 1); within = ""
      } else {
        if (!match(line, opener)) { if (line ~ /[^ \t]/) has_code = 1; return text }
        token = substr(line, RSTART, RLENGTH)
        if (substr(line, 1, RSTART - 1) ~ /[^ \t]/) has_code = 1
        line = substr(line, RSTART + RLENGTH)
        if (token ~ /(#|--|\/\/)$/) return text " " line
        within = token == "/*" ? "*/" : token
      }
    }
    return text
  }

  # close_of returns the position of the quote that ends a string, 0 if it is not on the line.
  function close_of(line, quote,    i, c, escapes) {
    escapes = quote != "`" && !(line_mark == "#" && quote == "\047")
    for (i = 1; i <= length(line); i++) {
      c = substr(line, i, 1)
      if (escapes && c == "\\") i++
      else if (c == quote) return i
    }
    return 0
  }

  function count(text,    n, i, w, found) {
    n = split(tolower(text), parts, /[^a-z0-9_\047-]+/)
    for (i = 1; i <= n; i++) {
      w = parts[i]
      if (w !~ /[a-z]/) continue
      words++
      found = 1
      if (w ~ /^(says|tells|asks|answers)$/) speech++
      else if (w ~ /^(nobody|whoever|whose)(\047s)?$/) pronouns++
      else if (w ~ /^(said|told|asked|answered)$/) past++
      else found = 0
      if (found && list) { shown = $0; sub(/^[ \t]+/, "", shown); printf "%s:%d: %s: %s\n", FILENAME, FNR, w, shown }
    }
  }

  FNR == 1 { start_file() }
  markdown {
    if ($0 ~ /^[ \t]*(```|~~~)/) fenced = !fenced
    else if (!fenced) count($0)
    next
  }
  FNR == 1 && /^#!/ { next }
  /[^ \t]/ {
    text = comment_of($0)
    if (!test) lines++
    if (!test && !has_code && text != "") comment_lines++
    count(text)
  }

  END {
    if (words) { speech_rate = speech * 10000 / words; pronoun_rate = pronouns * 10000 / words; past_rate = past * 10000 / words }
    printf "says, tells, asks, answers:     %6.1f per 10,000 words (%d of %d; below %d)\n", speech_rate, speech, words, max_speech
    printf "said, told, asked, answered:    %6.1f per 10,000 words (%d; no limit)\n", past_rate, past
    printf "nobody, whoever, whose:         %6.1f per 10,000 words (%d; below %d)\n", pronoun_rate, pronouns, max_pronouns
    if (lines) {
      share = comment_lines * 100 / lines
      printf "comment lines:                  %6.1f %% of %d lines without tests (at least %d %%)\n", share, lines, min_comments
    }
    exit (speech_rate >= max_speech || pronoun_rate >= max_pronouns || (lines && share < min_comments))
  }
' "${files[@]}"
