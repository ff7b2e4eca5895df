// Package catalog knows the products: the demonstration catalogue that `spillway seed` creates, and the cache through which
// names and prices are read.
package catalog
