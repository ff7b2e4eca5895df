// Package leaks fails the tests of a package that leave goroutines behind.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// endTimeout is how long goroutines may take to end after the last test. goleak alone gives them less than half a second, in which a process
// that shares its cores with others may not have run all of them.
const endTimeout = 30 * time.Second

// Verify runs the tests of a package and ends the process. It fails them if goroutines are left for endTimeout after they passed.
func Verify(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		err := goleak.Find(options...)
		for end := time.Now().Add(endTimeout); err != nil && time.Now().Before(end); {
			err = goleak.Find(options...)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "the tests passed and left goroutines: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}
