// Package orderjson reads and writes the JSON of the busiest messages, the request of PlaceOrder and the responses with an order, without
// reflection. It handles their usual form only and reports false for all else, such as escapes in strings, unknown or repeated fields and
// errors: the caller then uses protojson, which has the same result for all that this package handles.
package orderjson
