// Package shipping prices parcels and hands them over to a carrier. Service is the ShippingService. Client calls that service under a breaker
// policy. Carrier is the port to the carrier, with one adapter in the package simulated.
package shipping
