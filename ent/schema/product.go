package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Product is what can be bought, and how much of it SQL knows to be there. Its id is the SKU.
type Product struct{ ent.Schema }

// Annotations say that stock is never negative (I1).
func (Product) Annotations() []schema.Annotation {
	return table("products", map[string]string{"stock_not_negative": "stock >= 0", "price_positive": "price_minor > 0", "reserve_not_negative": "reserve >= 0"})
}

// Fields of a product.
func (Product) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("sku").MaxRuneLen(64).Annotations(binary()),
		field.String("name").MaxRuneLen(200).Annotations(words()),
		field.String("description").MaxRuneLen(4000).SchemaType(text).Annotations(words()),
		field.String("picture").MaxRuneLen(500),
		field.Int64("price_minor"),
		field.String("currency").MaxRuneLen(3).SchemaType(code3),
		field.JSON("categories", []string{}),
		field.Int64("stock"),
		// The units of stock that Redis does not get: they are sold while it is unavailable.
		field.Int64("reserve").Default(0),
		field.Time("created_at").SchemaType(micros),
		field.Time("updated_at").SchemaType(micros),
		// An archived product is not listed, searched or ordered.
		field.Bool("archived").Default(false),
		// The most units that one customer may order within a day, in one order or several; 0 is no limit.
		field.Int32("max_per_customer").Default(10).Min(0).Annotations(Minimum{Value: 0}),
		// Orders are refused before; without it, they never were.
		field.Time("sale_starts_at").Optional().Nillable().SchemaType(micros),
	}
}

// Indexes serve the sorted lists and, on MySQL, the search by words.
func (Product) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("archived", "price_minor"), index.Fields("archived", "name"), index.Fields("archived", "created_at"),
		index.Fields("name", "description").Annotations(entsql.IndexTypes(map[string]string{dialect.MySQL: "FULLTEXT"})),
	}
}

// StockAdjustment is units that entered or left other than by orders, a product's first stock included.
type StockAdjustment struct{ ent.Schema }

// Annotations name the table.
func (StockAdjustment) Annotations() []schema.Annotation { return table("stock_adjustments", nil) }

// Fields of an adjustment.
func (StockAdjustment) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("adjustment_id").MaxRuneLen(140).Annotations(binary()),
		field.String("sku").MaxRuneLen(64).Annotations(binary()),
		field.Int64("delta"),
		field.String("reason").MaxRuneLen(200),
		field.String("actor").MaxRuneLen(64),
		field.Time("created_at").SchemaType(micros),
	}
}

// Indexes serve the audit of one SKU.
func (StockAdjustment) Indexes() []ent.Index { return []ent.Index{index.Fields("sku")} }
