package order

import (
	"strings"
	"unicode"
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
