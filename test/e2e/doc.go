// Package e2e starts the real binary on the real parts and treats it as its users and its worst days do.
package e2e
