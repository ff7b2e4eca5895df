// Package catalog is the catalogue of products: the demonstration catalogue that `spillway seed` creates, and the cache
// of names and prices.
package catalog
