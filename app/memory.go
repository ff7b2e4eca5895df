package app

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to five times of what is live before it is collected: the live heap of a process is some 20 MB, and most of
	// what an order allocates is garbage when it is answered. It costs memory, which memoryLimit bounds, and saves half of the collector's work.
	gcPercent = 400
	// memoryLimit is how much memory, in bytes, the process may take before the garbage collector runs more often than that. It is no hard limit.
	memoryLimit = 512 << 20
)

// tuneMemory sets the garbage collector of the process, unless the environment does (GOGC, GOMEMLIMIT).
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
