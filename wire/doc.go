// Package wire turns the domain's types into protobuf messages and back. It is used at the two ends of an
// order's path, by the server that makes the message and by the workers that read it, and by the clients of
// outside parties; what lies between carries opaque bytes.
package wire
