package server

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// maxPooledBytes is the maximum size of a buffer that is kept for another error; one that is sold out has about 500 bytes.
const maxPooledBytes = 8 << 10

// errorBuffers are *errorEncoder, each with buffers of at most maxPooledBytes.
var errorBuffers = sync.Pool{New: func() any { return &errorEncoder{} }}

// errorEncoder appends the body of a Connect error to out: its code, its text, and each detail as base64 of its binary form and, for people,
// as JSON. The result is the same as Connect's own. It sets failed for what it does not handle: texts that need escapes in JSON, and details
// other than ErrorInfo, RetryInfo and SoldOut.
type errorEncoder struct {
	out, binary []byte
	failed      bool
}

// encodeErrorBody returns the body of the refusal, or false if the encoder does not handle it.
func encodeErrorBody(f refusal, requestID string) (string, bool) {
	e := errorBuffers.Get().(*errorEncoder) //nolint:forcetypeassert,errcheck // The pool has nothing else.
	e.out, e.failed = e.out[:0], false
	e.body(f, requestID)
	body, ok := string(e.out), !e.failed
	if cap(e.out) <= maxPooledBytes && cap(e.binary) <= maxPooledBytes {
		errorBuffers.Put(e)
	}
	return body, ok
}

func (e *errorEncoder) body(f refusal, requestID string) {
	sold, isSoldOut := f.detail.(*spillwayv1.SoldOut)
	e.failed = len(f.fields) > 0 || (f.detail != nil && !isSoldOut)
	if e.failed {
		return
	}
	e.raw(`{"code":`)
	e.text(f.code.String())
	if f.text != "" {
		e.raw(`,"message":`)
		e.text(f.text)
	}
	e.raw(`,"details":[`)
	e.errorInfo(f, requestID)
	if f.retry > 0 {
		e.raw(",")
		e.retryInfo(f.retry)
	}
	if isSoldOut {
		e.raw(",")
		e.soldOut(sold)
	}
	e.raw("]}")
}

// detail writes the type and the binary form of a detail, and begins its JSON.
func (e *errorEncoder) detail(name string) {
	e.raw(`{"type":"`)
	e.raw(name)
	e.raw(`","value":"`)
	e.out = base64.RawStdEncoding.AppendEncode(e.out, e.binary)
	e.raw(`","debug":{`)
}

// The numbers of the fields of google.rpc.ErrorInfo, and of the entries of its metadata.
const (
	infoReason   protowire.Number = 1
	infoDomain   protowire.Number = 2
	infoMetadata protowire.Number = 3
	entryKey     protowire.Number = 1
	entryValue   protowire.Number = 2
)

func (e *errorEncoder) errorInfo(f refusal, requestID string) {
	keys := slices.AppendSeq(make([]string, 0, len(f.metadata)+1), maps.Keys(f.metadata))
	if _, ok := f.metadata[metaRequestID]; requestID != "" && !ok {
		keys = append(keys, metaRequestID)
	}
	slices.Sort(keys)
	value := func(key string) string {
		if key == metaRequestID && requestID != "" {
			return requestID
		}
		return f.metadata[key]
	}
	e.binary = appendField(appendField(e.binary[:0], infoReason, string(f.reason)), infoDomain, errorDomain)
	for _, key := range keys {
		e.binary = protowire.AppendTag(e.binary, infoMetadata, protowire.BytesType)
		e.binary = protowire.AppendVarint(e.binary, uint64(fieldLen(entryKey, key)+fieldLen(entryValue, value(key)))) //nolint:gosec // Positive.
		e.binary = appendField(appendField(e.binary, entryKey, key), entryValue, value(key))
	}
	e.detail("google.rpc.ErrorInfo")
	e.raw(`"reason":`)
	e.text(string(f.reason))
	e.raw(`,"domain":`)
	e.text(errorDomain)
	for i, key := range keys {
		e.raw([]string{`,"metadata":{`, ","}[min(i, 1)])
		e.text(key)
		e.raw(":")
		e.text(value(key))
	}
	if len(keys) > 0 {
		e.raw("}")
	}
	e.raw("}}")
}

// appendField appends a string field of a message.
func appendField(b []byte, number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), value)
}

// fieldLen is the length of what appendField appends.
func fieldLen(number protowire.Number, value string) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(len(value))
}

// retryInfo writes a delay of whole milliseconds.
func (e *errorEncoder) retryInfo(delay time.Duration) {
	e.failed = e.failed || delay%time.Millisecond != 0
	e.marshal(retryInfo(delay))
	e.detail("google.rpc.RetryInfo")
	e.raw(`"retryDelay":"`)
	e.out = strconv.AppendInt(e.out, int64(delay/time.Second), 10)
	if millis := delay % time.Second / time.Millisecond; millis > 0 {
		e.raw(".")
		e.raw(strconv.Itoa(int(millis) + 1000)[1:])
	}
	e.raw(`s"}}`)
}

func (e *errorEncoder) soldOut(m *spillwayv1.SoldOut) {
	e.failed = e.failed || len(m.GetItems()) == 0
	e.marshal(m)
	e.detail("spillway.v1.SoldOut")
	for i, item := range m.GetItems() {
		e.raw([]string{`"items":[`, ","}[min(i, 1)])
		e.raw(`{"sku":`)
		e.text(item.GetSku())
		e.count(`,"requested":"`, item.GetRequested())
		e.count(`,"available":"`, item.GetAvailable())
		e.raw("}")
	}
	e.raw("]}}")
}

// count writes an integer of 64 bits after its name, and nothing for 0.
func (e *errorEncoder) count(name string, n int64) {
	if n != 0 {
		e.raw(name)
		e.out = strconv.AppendInt(e.out, n, 10)
		e.raw(`"`)
	}
}

func (e *errorEncoder) marshal(m proto.Message) {
	var err error
	e.binary, err = proto.MarshalOptions{}.MarshalAppend(e.binary[:0], m)
	e.failed = e.failed || err != nil
}

func (e *errorEncoder) raw(text string) { e.out = append(e.out, text...) }

// text writes a string. It fails for an empty one, which JSON leaves out, and for one that is not visible ASCII without quotes,
// backslashes, and what Connect escapes for HTML.
func (e *errorEncoder) text(value string) {
	e.failed = e.failed || value == ""
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ' || c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			e.failed = true
			return
		}
	}
	e.out = append(e.out, '"')
	e.out = append(e.out, value...)
	e.out = append(e.out, '"')
}
