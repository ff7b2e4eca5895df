package orderjson

import (
	"math"
	"unicode/utf8"
)

// maxDigits is the maximum length of a number: 18 digits fit into an int64, and no valid request has more.
const maxDigits = 18

// scanner reads JSON values. A value that it does not handle ends the scan: failed is set, and nothing is left to read.
type scanner struct {
	in     []byte
	pos    int
	failed bool
}

func (s *scanner) fail() { s.failed, s.pos = true, len(s.in) }

// peek skips white space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.in); s.pos++ {
		switch c := s.in[s.pos]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// skip skips white space and c, and reports whether c was there; c is not 0.
func (s *scanner) skip(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// expect skips white space and c. It fails without c.
func (s *scanner) expect(c byte) {
	if !s.skip(c) {
		s.fail()
	}
}

// end fails if anything but white space is left.
func (s *scanner) end() {
	if s.peek(); s.pos < len(s.in) {
		s.fail()
	}
}

// object reads an object. It calls field with each name; field reads the value and returns the field's number, 1 to 63, or 0 for a name
// that it does not know. A repeated or an unknown field fails.
func (s *scanner) object(field func(name []byte) (number uint)) {
	var seen uint64
	s.expect('{')
	for more := !s.skip('}'); more && !s.failed; more = s.next('}') {
		name := s.quoted()
		s.expect(':')
		bit := uint64(1) << field(name)
		if bit == 1 || seen&bit != 0 {
			s.fail()
		}
		seen |= bit
	}
}

// array reads an array. It calls element before each element, to read it. An array of more than most elements fails.
func (s *scanner) array(most int, element func()) {
	n := 0
	s.expect('[')
	for more := !s.skip(']'); more && !s.failed; more = s.next(']') {
		if n++; n > most {
			s.fail()
			return
		}
		element()
	}
}

// next reads what follows an element: a comma, or the end of the object or array.
func (s *scanner) next(end byte) (more bool) {
	if s.skip(',') {
		return true
	}
	s.expect(end)
	return false
}

// quoted reads a string without escapes. The result is a part of the input.
func (s *scanner) quoted() []byte {
	s.expect('"')
	start, ascii := s.pos, true
	for i := start; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			if text := s.in[start:i]; ascii || utf8.Valid(text) {
				s.pos = i + 1
				return text
			}
			s.fail()
			return nil
		case c < ' ' || c == '\\':
			s.fail()
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.fail()
	return nil
}

// text reads a string. The result is a copy, so that nothing keeps the request, and a card number in it, in memory.
func (s *scanner) text() string { return string(s.quoted()) }

// number reads an integer without fraction and exponent, which begins here.
func (s *scanner) number() int64 {
	negative := s.pos < len(s.in) && s.in[s.pos] == '-'
	if negative {
		s.pos++
	}
	start, n := s.pos, int64(0)
	for s.pos < len(s.in) && '0' <= s.in[s.pos] && s.in[s.pos] <= '9' && s.pos-start <= maxDigits {
		n = n*10 + int64(s.in[s.pos]-'0')
		s.pos++
	}
	digits := s.pos - start
	if digits == 0 || digits > maxDigits || (s.in[start] == '0' && (digits > 1 || negative)) {
		s.fail()
		return 0
	}
	if negative {
		return -n
	}
	return n
}

// int32 reads an integer of 32 bits.
func (s *scanner) int32() int32 {
	s.peek()
	n := s.number()
	if n < math.MinInt32 || n > math.MaxInt32 {
		s.fail()
		return 0
	}
	return int32(n)
}

// int64 reads an integer of 64 bits, which protojson writes as a string and also reads as a number.
func (s *scanner) int64() int64 {
	if s.peek() != '"' {
		return s.number()
	}
	inner := scanner{in: s.quoted()}
	n := inner.number()
	if inner.failed || inner.pos < len(inner.in) {
		s.fail()
	}
	return n
}
