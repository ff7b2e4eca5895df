package order

import (
	"fmt"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// bidi are the characters that turn the direction of the text around them: a name with one shows an operator another text than it is.
var bidi = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x061c, Hi: 0x061c, Stride: 1}, {Lo: 0x200e, Hi: 0x200f, Stride: 1}, {Lo: 0x2028, Hi: 0x202e, Stride: 1}, {Lo: 0x2066, Hi: 0x2069, Stride: 1},
}}

// IsClean reports whether a text of one line has no control characters, such as ESC or a line break, none that break a line or turn its direction, and
// is valid UTF-8. Such a text can be shown in a terminal, a mail or a log line.
func IsClean(text string) bool { return isClean(text, false) }

// IsCleanBlock is IsClean for a text of several lines, which may have tabs and line breaks.
func IsCleanBlock(text string) bool { return isClean(text, true) }

func isClean(text string, block bool) bool {
	for i, r := range text {
		switch {
		case block && (r == '\n' || r == '\r' || r == '\t'):
		case unicode.IsControl(r), unicode.Is(bidi, r), r == unicode.ReplacementChar && text[i] != "\ufffd"[0]:
			return false
		}
	}
	return true
}

// Printable returns the text with a space in place of each character that could move a terminal's cursor, begin a line or turn the direction of one.
// It is for texts that may be older than the rules for them, or are another server's.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// firstControl is the first control character that JSON allows in a text: DEL. Those before it are escaped, or white space between texts.
const firstControl = 0x7f

// PrintableJSON returns the JSON with escapes in place of the characters that Printable replaces, so that it is the same JSON.
func PrintableJSON(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for _, r := range string(raw) {
		if r < firstControl || unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// PanicText returns the text of a runtime error, such as an index out of range, and of any other value its type: its text may hold a request
// (I13).
func PanicText(r any) string {
	if err, ok := r.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", r)
}
