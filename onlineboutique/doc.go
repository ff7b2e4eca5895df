// Package onlineboutique serves the wire interface of Online Boutique (proto/hipstershop): its front end, load generator and gRPC clients
// can use Spillway as their shop. Each of the nine services is a thin adapter of Spillway's own services, one file each. The callers have no tokens
// and name their users; docs/online-boutique.md explains how far they are trusted, docs/design/online-boutique.md how an order without an
// idempotency key is placed once.
package onlineboutique
