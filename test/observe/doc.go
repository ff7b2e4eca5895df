// Package observe tests what a deployed shop shows of itself: serve and work processes of the built binary on the real Redis, MySQL and
// RocketMQ, observed by a private Prometheus and a private Jaeger, and what none of their spans, metrics and log lines may hold.
package observe
