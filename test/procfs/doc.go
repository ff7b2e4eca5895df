// Package procfs measures the CPU time of processes on Linux, and finds the process that listens on a port.
//
// CPU time per order stays comparable on a noisy machine, where orders per second do not.
package procfs
