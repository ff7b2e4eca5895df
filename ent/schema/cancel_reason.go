package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
)

// cancelReason is the part of a row that programs read of why an order was cancelled; the text for people is a column of its own.
type cancelReason struct{ mixin.Schema }

// Fields are empty in rows of versions that kept only the text.
func (cancelReason) Fields() []ent.Field {
	return []ent.Field{
		// One of order.CancelCodes.
		field.String("cancel_code").MaxRuneLen(32).Default(""),
		// The order that the idempotency key belongs to.
		field.String("duplicate_of").MaxRuneLen(26).Default("").SchemaType(asciiVarID).Annotations(binary()),
		// The payment provider's code.
		field.String("decline_code").MaxRuneLen(64).Default(""),
	}
}
