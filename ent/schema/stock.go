package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// StockEpoch is one life of the Redis data, and how much of its journal is in SQL.
type StockEpoch struct{ ent.Schema }

// Annotations name the table.
func (StockEpoch) Annotations() []schema.Annotation { return table("stock_epochs", nil) }

// Fields of an epoch.
func (StockEpoch) Fields() []ent.Field {
	return []ent.Field{
		field.Int16("partition_no"),
		field.Int64("epoch"),
		field.String("run_id").MaxLen(64),
		// The id of the last journal entry that products.stock includes.
		field.String("last_id").MaxLen(41),
		field.Time("opened_at").SchemaType(micros),
		field.Time("closed_at").SchemaType(micros).Optional().Nillable(),
		// When the orders that were lost with this closed epoch had all been found.
		field.Time("reconciled_at").SchemaType(micros).Optional().Nillable(),
	}
}

// Indexes let an epoch be opened once.
func (StockEpoch) Indexes() []ent.Index {
	return []ent.Index{index.Fields("partition_no", "epoch").Unique()}
}

// StockDedupLog is one range of journal entries that was applied.
type StockDedupLog struct{ ent.Schema }

// Annotations name the table.
func (StockDedupLog) Annotations() []schema.Annotation { return table("stock_dedup_log", nil) }

// Fields of a range.
func (StockDedupLog) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int16("partition_no"),
		field.Int64("epoch"),
		field.String("first_id").MaxLen(41),
		field.String("last_id").MaxLen(41),
		field.Int("entries"),
		field.Time("applied_at").SchemaType(micros),
		// Whose stock the range took or gave back, a line an entry: "ORDER SKU:UNITS,...", units negative when taken. Null when
		// it did neither.
		field.Bytes("orders").SchemaType(mediumBlob).Optional().Nillable(),
	}
}

// Indexes let a range be applied once.
func (StockDedupLog) Indexes() []ent.Index {
	return []ent.Index{index.Fields("partition_no", "epoch", "first_id").Unique()}
}
