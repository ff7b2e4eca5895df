package tracing

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/spillway/spillway/order"
)

// The attributes of Spillway's own.
const (
	// OrderIDKey is the order of a span. Metrics never have it.
	OrderIDKey = attribute.Key("spillway.order.id")
	// OrderStateKey is the state that a step leads to, or an order was found in.
	OrderStateKey = attribute.Key("spillway.order.state")
	// BatchSizeKey is the number of items of a batch.
	BatchSizeKey = attribute.Key("spillway.batch.size")
	// LinksOmittedKey is the number of orders that a batch does not link to, because it links to MaxLinks others.
	LinksOmittedKey = attribute.Key("spillway.batch.links_omitted")
	// SQLRowsKey is the number of rows, or of ids, that a statement names.
	SQLRowsKey = attribute.Key("spillway.sql.rows")
	// ChargeDeclinedKey is whether the provider declined the card.
	ChargeDeclinedKey = attribute.Key("spillway.charge.declined")
)

// OrderID is the attribute of an order.
func OrderID(id order.ID) attribute.KeyValue { return OrderIDKey.String(string(id)) }

// OrderState is the attribute of a state.
func OrderState(s order.State) attribute.KeyValue { return OrderStateKey.String(s.String()) }
