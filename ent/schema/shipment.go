package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Shipment is a parcel that the carrier has; its id is the order's.
type Shipment struct{ ent.Schema }

// Annotations name the table.
func (Shipment) Annotations() []schema.Annotation { return table("shipments", nil) }

// Fields of a shipment.
func (Shipment) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("tracking_id").MaxRuneLen(64),
		field.Time("shipped_at").SchemaType(micros),
		field.Time("created_at").SchemaType(micros),
	}
}

// SentMail remembers that a mail was sent, or that it is skipped.
type SentMail struct{ ent.Schema }

// Annotations name the table.
func (SentMail) Annotations() []schema.Annotation { return table("sent_mails", nil) }

// Fields of a sent mail.
func (SentMail) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("kind").MaxRuneLen(32),
		field.Time("sent_at").SchemaType(micros),
		// A hash of the address; empty for a mail that was skipped, and for those of versions that counted none.
		field.String("recipient").MaxRuneLen(22).Default("").Annotations(binary()),
		// Why the mail is never sent; empty if it was.
		field.String("skipped").MaxRuneLen(32).Default(""),
	}
}

// Indexes let a mail of a kind be remembered once, and the mails of a recipient be counted.
func (SentMail) Indexes() []ent.Index {
	return []ent.Index{index.Fields("order_id", "kind").Unique(), index.Fields("recipient", "sent_at")}
}

// DeadLetter is a message or event that no retry could process, with its reason and payload, for an operator to inspect and replay. Its
// table and indexes have the names of the first release: renaming them would be a migration that the version before does not work with.
type DeadLetter struct{ ent.Schema }

// Annotations name the table.
func (DeadLetter) Annotations() []schema.Annotation { return table("failed_orders", nil) }

// Fields of a dead letter.
func (DeadLetter) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		// The same failure again is the same dead letter.
		field.String("dedup_key").MaxRuneLen(191).Annotations(binary()).Unique(),
		field.String("source").MaxRuneLen(64),
		field.String("order_id").MaxRuneLen(64),
		field.String("reason").MaxRuneLen(2000).SchemaType(text),
		field.Bytes("payload").SchemaType(blob),
		field.String("trace_id").MaxRuneLen(64),
		field.Int("attempts"),
		field.String("status").MaxRuneLen(16),
		field.Time("created_at").SchemaType(micros),
		field.Time("updated_at").SchemaType(micros),
		// The full name of the payload's protobuf message, or "journal_entry".
		field.String("payload_type").MaxRuneLen(64).Default(""),
	}
}

// Indexes serve the operator's lists.
func (DeadLetter) Indexes() []ent.Index {
	return []ent.Index{index.Fields("status", "id").StorageKey("failedorder_status_id"), index.Fields("order_id").StorageKey("failedorder_order_id")}
}

// DeadLetterAction is what was done with a dead letter, by whom and when.
type DeadLetterAction struct{ ent.Schema }

// Annotations name the table.
func (DeadLetterAction) Annotations() []schema.Annotation { return table("failed_order_actions", nil) }

// Fields of an action.
func (DeadLetterAction) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("dead_letter_id").StorageKey("failed_order_id"),
		field.String("action").MaxRuneLen(16),
		field.String("actor").MaxRuneLen(64),
		field.String("detail").MaxRuneLen(2000).SchemaType(text),
		field.Time("created_at").SchemaType(micros),
	}
}

// Indexes serve a dead letter's history.
func (DeadLetterAction) Indexes() []ent.Index {
	return []ent.Index{index.Fields("dead_letter_id", "id").StorageKey("failedorderaction_failed_order_id_id")}
}

// DueMail is a mail that is to be sent, written in the transaction of the change that it is about, and deleted when it was sent.
type DueMail struct{ ent.Schema }

// Annotations name the table.
func (DueMail) Annotations() []schema.Annotation { return table("due_mails", nil) }

// Fields of a due mail.
func (DueMail) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		field.String("kind").MaxRuneLen(32),
		field.Int("attempts"),
		field.Time("next_try_at").SchemaType(micros),
		field.Time("created_at").SchemaType(micros),
	}
}

// Indexes let a mail of a kind be due once, and serve the mailer.
func (DueMail) Indexes() []ent.Index {
	return []ent.Index{index.Fields("order_id", "kind").Unique(), index.Fields("next_try_at")}
}
