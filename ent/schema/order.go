package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Order is what was bought, with its address and totals.
type Order struct{ ent.Schema }

// Mixin adds why it was cancelled.
func (Order) Mixin() []ent.Mixin { return []ent.Mixin{cancelReason{}} }

// Annotations bound the state and the money.
func (Order) Annotations() []schema.Annotation {
	return table("orders", map[string]string{
		"state_known": "state BETWEEN 0 AND 4", "totals_not_negative": "items_total >= 0 AND shipping_total >= 0 AND total >= 0",
		"total_adds_up": "total = items_total + shipping_total",
	})
}

// Fields of an order. Amounts are in minor units of the currency.
func (Order) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("customer_id").MaxRuneLen(64).Annotations(exact()),
		field.Int8("state").SchemaType(tiny),
		field.String("currency").MaxRuneLen(3).SchemaType(code3),
		field.Int64("items_total"),
		field.Int64("shipping_total"),
		field.Int64("total"),
		field.String("email").MaxRuneLen(254),
		field.String("ship_name").MaxRuneLen(200),
		field.String("ship_street").MaxRuneLen(200),
		field.String("ship_city").MaxRuneLen(100),
		field.String("ship_region").MaxRuneLen(100),
		field.String("ship_postal_code").MaxRuneLen(20),
		field.String("ship_country").MaxRuneLen(2),
		field.String("tracking_id").MaxRuneLen(64),
		// Null once the key turned out to belong to another order.
		field.String("idempotency_key").MaxRuneLen(128).Optional().Nillable().Annotations(binary()),
		field.Bytes("fingerprint").MaxLen(32),
		// Why it was cancelled, for people.
		field.String("cancel_reason").MaxRuneLen(255),
		field.Time("created_at").SchemaType(micros),
		field.Time("updated_at").SchemaType(micros),
		// Until when a pending order without a card can be paid; null for one with a card.
		field.Time("expires_at").SchemaType(micros).Optional().Nillable(),
		// Since when the carrier may have the parcel: an order is cancelled only while this is null, and handed to the carrier only
		// while it is set, so that the two are decided in this one row.
		field.Time("ship_claimed_at").SchemaType(micros).Optional().Nillable(),
		// The trace context of the request that placed it; see tracing.MaxBytes. Null without one.
		field.String("trace").MaxRuneLen(568).Optional().Nillable(),
	}
}

// Indexes: one order a key (I4), a customer's orders newest first, the workers' "in this state for too long", and the operators' search by
// mail address.
func (Order) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("customer_id", "idempotency_key").Unique(),
		index.Fields("customer_id", "id"),
		index.Fields("state", "updated_at"),
		index.Fields("email", "id"),
	}
}

// OrderItem is one SKU of an order. There is no foreign key: an order and its items are written in one transaction by
// one function, and the check would cost the drain a look-up a row.
type OrderItem struct{ ent.Schema }

// Annotations bound the quantity.
func (OrderItem) Annotations() []schema.Annotation {
	return table("order_items", map[string]string{"quantity_positive": "quantity >= 1"})
}

// Fields of an item.
func (OrderItem) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("sku").MaxRuneLen(64).Annotations(binary()),
		field.String("name").MaxRuneLen(200),
		field.Int("quantity"),
		field.Int64("unit_price"),
	}
}

// Indexes let a SKU be in an order once, and serve the audit of one SKU and the operators' list of its orders, newest first.
func (OrderItem) Indexes() []ent.Index {
	return []ent.Index{index.Fields("order_id", "sku").Unique(), index.Fields("sku", "order_id")}
}

// OrderCancellation is the intent to undo an order: its money and its stock go back, and only then it is finished. It is written
// in the transaction that cancels the order, or declares it lost with its Redis. Its id is the order's.
type OrderCancellation struct{ ent.Schema }

// Mixin adds why it was cancelled.
func (OrderCancellation) Mixin() []ent.Mixin { return []ent.Mixin{cancelReason{}} }

// Annotations bound the refund.
func (OrderCancellation) Annotations() []schema.Annotation {
	return table("order_cancellations", map[string]string{"refund_not_negative": "refund_amount >= 0"})
}

// Fields of a cancellation.
func (OrderCancellation) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		// Why, for people.
		field.String("reason").MaxRuneLen(255),
		field.String("actor").MaxRuneLen(64),
		// What goes back to stock, "SKU:UNITS,..."; empty for nothing.
		field.String("units").MaxRuneLen(10000).SchemaType(text),
		// What was given back, in minor units; 0 when nothing had been taken.
		field.Int64("refund_amount"),
		field.String("refund_currency").MaxRuneLen(3),
		field.Int("attempts"),
		field.Time("next_try_at").SchemaType(micros),
		field.Time("created_at").SchemaType(micros),
		field.Time("refunded_at").SchemaType(micros).Optional().Nillable(),
		// Set by the flusher, in the transaction that gives the units back.
		field.Time("restocked_at").SchemaType(micros).Optional().Nillable(),
		field.Time("finished_at").SchemaType(micros).Optional().Nillable(),
	}
}

// Indexes serve the worker's "not finished and due".
func (OrderCancellation) Indexes() []ent.Index {
	return []ent.Index{index.Fields("finished_at", "next_try_at")}
}
