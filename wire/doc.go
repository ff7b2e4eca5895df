// Package wire converts the domain's types to protobuf messages and back. It is used at both ends of an order's path,
// by the server that makes the messages, by the workers that read them, and by the clients of external services.
// Between the two ends the messages are opaque bytes.
package wire
