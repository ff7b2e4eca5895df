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
		// The Redis history on which the epoch was opened: the instance's run_id and its replication id, "RUN_ID/REPLID".
		field.String("run_id").MaxRuneLen(128),
		// The id of the last journal entry that products.stock includes.
		field.String("last_id").MaxRuneLen(41),
		field.Time("opened_at").SchemaType(micros),
		field.Time("closed_at").SchemaType(micros).Optional().Nillable(),
		// When the orders that were lost with this closed epoch had all been found.
		field.Time("reconciled_at").SchemaType(micros).Optional().Nillable(),
		// What an answer promises in this epoch: "journal", "replica" or "sql". Empty in epochs of versions that did not record it.
		field.String("durability").MaxRuneLen(16).Default(""),
		// When Redis last came back without data that SQL has, so that idempotency records from before may be missing there.
		field.Time("records_lost_at").SchemaType(micros).Optional().Nillable(),
		// Where stock is reserved: "redis", or "sql" while Redis is unavailable.
		field.String("mode").MaxRuneLen(8).Default("redis"),
		// Set when the epoch was closed without its Redis: the journal there may hold acknowledged entries, which are applied when it is back.
		field.Bool("undrained").Default(false),
		// When a process last found Redis on this epoch; null before the first time.
		field.Time("redis_seen_at").SchemaType(micros).Optional().Nillable(),
		// The percentage of each product's units that Redis did not get in this epoch.
		field.Int8("reserve_share").SchemaType(tiny).Default(0),
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
		// The id of the last entry before the range: where the flusher stood. Null in ranges of versions that did not record it.
		field.String("prev_id").MaxRuneLen(41).Optional().Nillable(),
		field.String("first_id").MaxRuneLen(41),
		field.String("last_id").MaxRuneLen(41),
		field.Int("entries"),
		field.Time("applied_at").SchemaType(micros),
		// The orders of the range, a line an entry: "ORDER SKU:UNITS,...", units negative when taken. Null when
		// it did neither.
		field.Bytes("orders").SchemaType(mediumBlob).Optional().Nillable(),
	}
}

// Indexes let a range be applied once.
func (StockDedupLog) Indexes() []ent.Index {
	return []ent.Index{index.Fields("partition_no", "epoch", "first_id").Unique()}
}

// StockReturn records that the units of an order were given back. Its id is the order's, so that they return at most once,
// whatever Redis claims.
type StockReturn struct{ ent.Schema }

// Mixin adds why it was cancelled.
func (StockReturn) Mixin() []ent.Mixin { return []ent.Mixin{cancelReason{}} }

// Annotations name the table.
func (StockReturn) Annotations() []schema.Annotation { return table("stock_returns", nil) }

// Fields of a return.
func (StockReturn) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").MaxRuneLen(26).SchemaType(asciiID).Annotations(binary()),
		// The journal entry that gave them back; epoch 0 for returns of versions that did not record it.
		field.Int64("epoch"),
		field.String("entry_id").MaxRuneLen(41),
		// Why the order was cancelled, for people.
		field.String("reason").MaxRuneLen(255),
		field.Time("returned_at").SchemaType(micros),
	}
}
