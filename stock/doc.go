// Package stock is the authority on "can I have it?". One Lua script takes the stock of a whole order in Redis
// or none of it, remembers the order, and appends the event to the journal; further scripts settle, release,
// load and adjust. Epochs keep one life of the Redis data apart from the next, so that a Redis that was wiped,
// restarted or replaced never sells a unit twice.
//
// The names of all keys are in keys.go, and each script's contract stands at the head of its file in lua/.
package stock
