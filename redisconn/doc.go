// Package redisconn connects to one Redis instance only. Each new connection is checked against the identity of the instance that is
// allowed, before any command is sent on it, so that also after a reconnect no command reaches a Redis that may hold older data (I3).
package redisconn
