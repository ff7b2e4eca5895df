// Package payment charges and refunds orders. Service is the PaymentService, which records the provider's outcomes in a ledger in SQL. Client
// calls that service under breaker policies. Provider is the port to the payment provider, with one adapter in the package simulated.
package payment
