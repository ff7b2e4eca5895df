// Package load sends a shop more orders than it can take, and then asks whether the books close.
//
// It is an open-loop generator: orders arrive by a schedule that was drawn before, whether the shop answers or not, and each
// latency is measured from the moment at which the order was meant to be sent. A shop that stalls is seen to stall
// (docs/design/load.md). Afterwards every accepted order is read again, and the shop's own audit is run.
package load
