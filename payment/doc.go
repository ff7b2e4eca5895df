// Package payment takes and returns the money of orders: its service keeps a ledger in SQL beside what the provider does, its client is how
// the other packages call that service, a provider is an adapter of the port Provider.
package payment
