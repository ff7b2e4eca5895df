package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// withSignals returns a context that SIGINT or SIGTERM cancels, so that the command ends as it should. A second signal ends the process at
// once. The caller calls stop.
func withSignals(ctx context.Context, stderr io.Writer) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			fmt.Fprintf(stderr, "spillway: received signal %q: ending; a second signal ends the process at once\n", s)
			cancel()
		case <-ctx.Done():
			return
		}
		fmt.Fprintf(stderr, "spillway: received signal %q again: ended at once, without waiting\n", <-signals)
		os.Exit(exitFailure)
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}
