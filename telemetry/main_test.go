package telemetry_test

import (
	"bytes"
	"encoding/base64"
	"sync"
	"testing"

	"github.com/spillway/spillway/test/leaks"
)

const checkout = "spillway.v1.CheckoutService/PlaceOrder"

func TestMain(m *testing.M) { leaks.Verify(m) }

// encoded is how protojson writes bytes.
func encoded(id []byte) string { return base64.StdEncoding.EncodeToString(id) }

// syncBuffer is a buffer that several goroutines may write.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
