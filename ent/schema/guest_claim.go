package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// GuestClaim names the owner of the orders of a guest: the customer who showed the guest's token after a login. Its id is the guest's, so that a guest has
// one claim at most. It is never changed.
type GuestClaim struct{ ent.Schema }

// Annotations name the table. Its collation is that of orders.customer_id, to which both ids are compared: the generator takes none for an id.
func (GuestClaim) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "guest_claims", Collation: identity}}
}

// Fields of a claim.
func (GuestClaim) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("guest_id").MaxRuneLen(64),
		field.String("customer_id").MaxRuneLen(64),
		field.Time("claimed_at").SchemaType(micros),
	}
}

// Indexes serve the list of the guests of a customer.
func (GuestClaim) Indexes() []ent.Index { return []ent.Index{index.Fields("customer_id")} }
