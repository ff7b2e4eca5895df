// Package gateway leads to outside parties: the payment provider, the carrier and mail. It holds the clients through which
// checkout and the workers call the services in front of them, each behind a policy of timeout and circuit breaker, and the
// simulated parties that the embedded shop uses.
package gateway
