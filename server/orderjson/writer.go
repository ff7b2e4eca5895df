package orderjson

import (
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// writer appends JSON to out. A value that it does not handle sets failed; what is in out is then useless.
type writer struct {
	out    []byte
	failed bool
}

// byte writes the beginning or the end of an object or an array.
func (w *writer) byte(c byte) { w.out = append(w.out, c) }

// comma separates what follows from the element before it, if there is one.
func (w *writer) comma() {
	if last := w.out[len(w.out)-1]; last != '{' && last != '[' {
		w.out = append(w.out, ',')
	}
}

// name writes the name of a field, which needs no escapes.
func (w *writer) name(name string) {
	w.comma()
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

// text writes a string. It fails for one that needs escapes or is not UTF-8.
func (w *writer) text(name, value string) {
	w.name(name)
	ascii := true
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ' || c == '"' || c == '\\':
			w.failed = true
			return
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	w.failed = w.failed || !ascii && !utf8.ValidString(value)
	w.quote(value)
}

func (w *writer) quote(value string) {
	w.out = append(w.out, '"')
	w.out = append(w.out, value...)
	w.out = append(w.out, '"')
}

func (w *writer) int32(name string, value int32) {
	w.name(name)
	w.out = strconv.AppendInt(w.out, int64(value), 10)
}

// int64 writes an integer as a string, because JavaScript's numbers have 53 bits.
func (w *writer) int64(name string, value int64) {
	w.name(name)
	w.out = append(w.out, '"')
	w.out = strconv.AppendInt(w.out, value, 10)
	w.out = append(w.out, '"')
}

// enum writes the name of an enum's value. It fails for a value without a name.
func (w *writer) enum(name string, names map[int32]string, value int32) {
	w.name(name)
	text, ok := names[value]
	w.failed = w.failed || !ok
	w.quote(text)
}

// time writes a timestamp in RFC 3339, with 0, 3, 6 or 9 digits of the second's fraction, and leaves out a nil one. It fails beyond the
// years 1 to 9999.
func (w *writer) time(name string, value *timestamppb.Timestamp) {
	if value == nil {
		return
	}
	if !value.IsValid() {
		w.failed = true
		return
	}
	layout := "2006-01-02T15:04:05.000000000Z"
	switch nanos := value.GetNanos(); {
	case nanos == 0:
		layout = "2006-01-02T15:04:05Z"
	case nanos%1_000_000 == 0:
		layout = "2006-01-02T15:04:05.000Z"
	case nanos%1_000 == 0:
		layout = "2006-01-02T15:04:05.000000Z"
	}
	w.name(name)
	w.out = append(w.out, '"')
	w.out = time.Unix(value.GetSeconds(), int64(value.GetNanos())).UTC().AppendFormat(w.out, layout)
	w.out = append(w.out, '"')
}
