// Package shipping prices parcels for the carrier that takes them: its client is how the other packages call its service, a carrier is an
// adapter of the port Carrier.
package shipping
