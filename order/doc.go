// Package order is the domain: what an order is, how it is named, what it costs and which states it moves
// through. It knows no database, no queue and no wire format, and imports the standard library only.
package order
