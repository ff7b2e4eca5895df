package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Charge is the ledger's line of one order; its id is the order's, so an order is charged once. It holds no card data.
type Charge struct{ ent.Schema }

// Annotations bound the state: 1 pending, 2 succeeded, 3 declined, 4 voided, 5 refunded.
func (Charge) Annotations() []schema.Annotation {
	return table("charges", map[string]string{"charge_state_known": "state BETWEEN 1 AND 5", "amount_not_negative": "amount >= 0"})
}

// Fields of a charge.
func (Charge) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").MaxLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("charge_id").MaxLen(26).SchemaType(asciiID).Annotations(binary()).Unique(),
		field.Int8("state").SchemaType(tiny),
		field.Int64("amount"),
		field.String("currency").MaxLen(3),
		field.String("decline_code").MaxLen(64),
		field.Time("created_at").SchemaType(micros),
		field.Time("updated_at").SchemaType(micros),
	}
}

// Indexes serve "charges in this state for too long".
func (Charge) Indexes() []ent.Index { return []ent.Index{index.Fields("state", "created_at")} }

// Refund is money given back; its order has one at most.
type Refund struct{ ent.Schema }

// Annotations name the table.
func (Refund) Annotations() []schema.Annotation { return table("refunds", nil) }

// Fields of a refund.
func (Refund) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("refund_id").MaxLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("order_id").MaxLen(26).SchemaType(asciiID).Annotations(binary()).Unique(),
		field.Int64("amount"),
		field.String("currency").MaxLen(3).SchemaType(code3),
		field.String("reason").MaxLen(200),
		field.Time("created_at").SchemaType(micros),
	}
}
