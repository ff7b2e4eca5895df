#!/usr/bin/env bash
# Fails if the program looks up methods by a name that is not constant, for which the linker keeps every exported method of every type: some 20 MB.
# It prints what keeps such a function, from main to it. docs/design/start-and-size.md explains it. Usage: check-methods.sh [BUILD FLAGS]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Go repeats what the linker printed at each later build with the same flags but -ldflags. One more tag makes this build another one.
flags=()
for flag in "$@"; do
  case $flag in -tags=*) flag=$flag,checkmethods ;; esac
  flags+=("$flag")
done
go build "${flags[@]}" -ldflags=-dumpdep -o "$work/spillway" ./cmd/spillway 2> "$work/edges"
if ! grep -q '^main.main -> ' "$work/edges"; then
  echo "The linker listed no dependencies: go build -ldflags=-dumpdep does not work as expected." >&2
  exit 1
fi

# Lines are "A <ATTRIBUTE> -> B": A keeps B. The first line of a B is what kept it.
awk -F ' -> ' '
  NF == 2 {
    looks_up = index($1, "<ReflectMethod>")
    gsub(/ <[A-Za-z]+>/, "")
    if (looks_up && $1 !~ /^reflect\./) found[$1] = 1 # Those of reflect itself are kept by any other.
    if (!($2 in keeper)) keeper[$2] = $1
  }
  END {
    for (f in found) {
      print "looks up methods by name: " f
      for (n = keeper[f]; n != "" && n != "_" && n != "runtime.main"; n = keeper[n]) print "  kept by " n
    }
  }
' "$work/edges" > "$work/found"

if [ -s "$work/found" ]; then
  cat "$work/found" >&2
  exit 1
fi
echo "The program looks up no methods by name."
