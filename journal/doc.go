// Package journal is the Redis Stream that records what happened to stock: one entry for each order that was reserved, settled, released
// or restocked, one for each adjustment. A stream belongs to one epoch, one life of the Redis data; Epochs closes an epoch when its Redis was
// wiped, restarted or replaced, so that ids of two lives never meet. Package stock appends (its scripts reserve units in the same step);
// the flusher, the relay, watchers and the audit read.
//
// The names of the keys are in keys.go, and each script's contract is at the head of its file in lua/.
package journal
