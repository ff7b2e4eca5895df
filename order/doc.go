// Package order is the domain: orders, their ids, amounts of money, the table of states, limits and error classes. It
// depends on no database, queue or wire format and imports the standard library only.
package order
