// Package stock decides in Redis whether units can be sold. One Lua script takes the units of a whole order or of none of it, caches the
// order, and appends the entry to the journal (package journal); further scripts settle, release, restock, adjust and load counters.
//
// The names of the keys are in keys.go, and each script's contract is at the head of its file in lua/.
package stock
