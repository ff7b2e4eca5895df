package mail

const (
	// maxEncodedLine bounds a line of quoted-printable text, without the "=" of a soft line break: RFC 2045 permits 76 bytes with it.
	maxEncodedLine = 75
	// encodedBytes is the length of an encoded byte, such as "=3D".
	encodedBytes = 3
	hexDigits    = "0123456789ABCDEF"
)

// literals marks the bytes that quoted-printable text represents as themselves, unless a blank ends a line.
var literals = func() (out [256]bool) {
	for c := '!'; c <= '~'; c++ {
		out[c] = c != '='
	}
	out[' '], out['\t'] = true, true
	return out
}()

// appendQuotedPrintable appends the text in the encoding of RFC 2045, section 6.7. LF ends a line; CR is encoded as any other control
// character. It copies runs of literal bytes at once, which takes a fraction of the time of mime/quotedprintable.
func appendQuotedPrintable(dst, text []byte) []byte {
	line := 0 // Bytes of the current line.
	for i := 0; i < len(text); i++ {
		end := i + literalRun(text[i:])
		for end-i > maxEncodedLine-line {
			cut := i + maxEncodedLine - line
			dst = append(append(dst, text[i:cut]...), '=', '\n')
			i, line = cut, 0
		}
		dst = append(dst, text[i:end]...)
		line += end - i
		if i = end; i == len(text) {
			break
		}
		if text[i] == '\n' {
			dst, line = append(dst, '\n'), 0
			continue
		}
		if line+encodedBytes > maxEncodedLine {
			dst, line = append(dst, '=', '\n'), 0
		}
		dst = append(dst, '=', hexDigits[text[i]>>4], hexDigits[text[i]&0xf])
		line += encodedBytes
	}
	return dst
}

// literalRun returns the length of the longest prefix of literal bytes. A blank at the end of a line is not part of it.
func literalRun(text []byte) int {
	n := 0
	for n < len(text) && literals[text[n]] {
		n++
	}
	endsLine := n == len(text) || text[n] == '\n'
	if n > 0 && endsLine && (text[n-1] == ' ' || text[n-1] == '\t') {
		n--
	}
	return n
}
