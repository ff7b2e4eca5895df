package mail

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
)

// FuzzAppendQuotedPrintable_DecodesToTheText compares with the decoder of the standard library.
func FuzzAppendQuotedPrintable_DecodesToTheText(f *testing.F) {
	for _, text := range []string{
		"", "a", "=", "Köln", " ", "\t", "a \n", "a\t\nb ", "\n\n", "From me", "a\r\nb\r", "\x00\xff",
		strings.Repeat("x", 75), strings.Repeat("x", 76), strings.Repeat("x", 74) + "=", strings.Repeat("x", 73) + "ä", strings.Repeat("x", 75) + " \n",
		strings.Repeat("x", 74) + " \n", strings.Repeat(" ", 200), strings.Repeat("=", 100), strings.Repeat("a b ", 100), "=_spillway",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		encoded := appendQuotedPrintable(nil, text)
		decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(encoded)))
		if err != nil || !bytes.Equal(decoded, text) {
			t.Errorf("%q became %q, decoded %q, %v", text, encoded, decoded, err)
		}
		for line := range bytes.Lines(encoded) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if len(line) > 76 || len(line) > 0 && (line[len(line)-1] == ' ' || line[len(line)-1] == '\t') {
				t.Errorf("%q has the line %q", text, line)
			}
		}
		if i := bytes.IndexFunc(encoded, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' && r != '\t' }); i >= 0 {
			t.Errorf("%q became %q, which is not printable ASCII", text, encoded)
		}
		if bytes.Contains(encoded, []byte(boundary)) {
			t.Errorf("%q became %q, which contains the boundary", text, encoded)
		}
	})
}
