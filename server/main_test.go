package server_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/spillway/spillway/test/leaks"
)

func TestMain(m *testing.M) {
	// net/http closes a connection half a second after a response to a request that was not read to its end.
	leaks.Verify(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}
