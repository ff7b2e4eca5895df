package wire

import "unicode/utf8"

// The wire types of protobuf that the messages of a snapshot use, and tag bits of a field.
const (
	typeVarint = 0
	typeBytes  = 2
	typeBits   = 3

	// maxVarintBytes is the length of the longest varint, in bytes, and maxVarintLast the highest value of its last byte.
	maxVarintBytes = 10
	maxVarintLast  = 1
	// maxScanField is the highest field number that a scanner accepts.
	maxScanField = 31
)

// scanner reads the fields of one protobuf message that is written as usual: each field at most once, except for repeated ones, and all text
// valid UTF-8. Anything else makes it bad; then the message is to be read by package proto, which knows all rules.
type scanner struct {
	rest string
	bad  bool
	// seen and repeated are sets of field numbers.
	seen, repeated uint32
}

// next returns the number and wire type of the next field as field<<3 | type; ok is false at the end and when the scanner is bad.
func (m *scanner) next() (tag uint64, ok bool) {
	if m.bad || m.rest == "" {
		return 0, false
	}
	tag = m.varint()
	field := tag >> typeBits
	if field == 0 || field > maxScanField {
		m.bad = true
		return 0, false
	}
	bit := uint32(1) << field
	m.bad = m.bad || m.seen&bit&^m.repeated != 0
	m.seen |= bit
	return tag, !m.bad
}

// has reports whether all of the fields were there.
func (m *scanner) has(fields uint32) bool { return m.seen&fields == fields }

func (m *scanner) varint() (v uint64) {
	for i := range min(len(m.rest), maxVarintBytes) {
		c := m.rest[i]
		if i == maxVarintBytes-1 && c > maxVarintLast {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			m.rest = m.rest[i+1:]
			return v
		}
	}
	m.bad = true
	return 0
}

// bytes reads the content of a field with a length.
func (m *scanner) bytes() string {
	n := m.varint()
	if m.bad || n > uint64(len(m.rest)) {
		m.bad = true
		return ""
	}
	content := m.rest[:n]
	m.rest = m.rest[n:]
	return content
}

// text is bytes that must be UTF-8.
func (m *scanner) text() string {
	s := m.bytes()
	m.bad = m.bad || !utf8.ValidString(s)
	return s
}
