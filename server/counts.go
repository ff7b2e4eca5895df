package server

// decrement subtracts one from the count of the key, and removes a count of 0, so that a map has no more keys than are in use.
func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}
