package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Charge is the ledger's line of one order; its id is the order's, so an order is charged once. It holds no card data.
type Charge struct{ ent.Schema }

// Annotations bound the state: 1 pending, 2 succeeded, 3 declined, 4 voided, 5 refunded, 6 refunding.
func (Charge) Annotations() []schema.Annotation {
	return table("charges", map[string]string{"charge_state_known": "state BETWEEN 1 AND 6", "amount_not_negative": "amount >= 0"})
}

// Fields of a charge.
func (Charge) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("charge_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()).Unique(),
		field.Int8("state").SchemaType(tiny),
		field.Int64("amount"),
		field.String("currency").MaxRuneLen(3),
		field.String("decline_code").MaxRuneLen(64),
		field.Time("created_at").SchemaType(micros),
		field.Time("updated_at").SchemaType(micros),
		// When the charge was forbidden, or a forbidden one was last asked for.
		field.Time("voided_at").SchemaType(micros).Optional().Nillable(),
		// When the provider is asked again whether it took the money of a voided charge; null for never.
		field.Time("recheck_at").SchemaType(micros).Optional().Nillable(),
		// attempt counts the cards that were tried; a declined line becomes pending again for the next one.
		field.Int8("attempt").Default(1).SchemaType(tiny),
	}
}

// Indexes serve "charges in this state for too long", and the rechecks that are due.
func (Charge) Indexes() []ent.Index {
	return []ent.Index{index.Fields("state", "created_at"), index.Fields("recheck_at")}
}

// Refund is money that is to be given back. It is written before the provider is called, and confirmed once the provider has done it. An
// order may have several, together at most its charge.
type Refund struct{ ent.Schema }

// Annotations bound the amount.
func (Refund) Annotations() []schema.Annotation {
	return table("refunds", map[string]string{"refund_positive": "amount > 0"})
}

// Fields of a refund.
func (Refund) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("refund_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.Int64("amount"),
		field.String("currency").MaxRuneLen(3).SchemaType(code3),
		field.String("reason").MaxRuneLen(200),
		field.Time("created_at").SchemaType(micros),
		// Who asked for it: an operator, or empty for the shop itself.
		field.String("actor").MaxRuneLen(64).Default(""),
		// The operator's idempotency key; null for a refund of the shop itself.
		field.String("request_key").MaxRuneLen(128).Optional().Nillable().Annotations(binary()),
		// When the provider confirmed it.
		field.Time("confirmed_at").SchemaType(micros).Optional().Nillable(),
		// How often the provider was asked in vain.
		field.Int("attempts").Default(0),
		field.Time("next_try_at").SchemaType(micros),
	}
}

// Indexes: one refund a key, an order's refunds, and the worker's "not confirmed and due".
func (Refund) Indexes() []ent.Index {
	return []ent.Index{index.Fields("order_id", "request_key").Unique(), index.Fields("confirmed_at", "next_try_at")}
}
