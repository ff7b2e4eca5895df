// Package load sends a shop orders at a given rate, which may exceed its capacity, and then checks its data.
//
// It is an open-loop generator: orders arrive by a schedule that was drawn before, independent of responses, and each
// latency is measured from the planned time of the order. A stall of the shop is therefore fully visible
// (docs/design/load.md). Afterwards every accepted order is read again, and the shop's own audit is run.
package load
