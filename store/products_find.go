package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/product"
	"github.com/spillway/spillway/order"
)

// ProductSort is the order of a list of products.
type ProductSort int

// The orders. Products that are equal in one of them are sorted by SKU.
const (
	BySKU ProductSort = iota
	ByPrice
	ByPriceDescending
	ByName
	Newest
)

// ProductQuery selects products. Its zero value selects those that are sold.
type ProductQuery struct {
	// Text is words, all of which are in the name or description.
	Text string
	// Category, if any, is one that the products are filed under.
	Category string
	// InStock selects products with units left, at the flusher's offset.
	InStock bool
	// Archived includes archived products.
	Archived bool
	Sort     ProductSort
	// After is the last product of the page before; empty begins with the first one.
	After order.SKU
	Limit int
}

const (
	// searchRetry is when to search again after a search that took too long.
	searchRetry = time.Second
	// MaxSearchWords bounds the words of a search: each is compared with the text of every product that has the others.
	MaxSearchWords = 10
)

// Find reads products. It has connections of its own and a second; order.ErrOverloaded when that is not enough.
func (p *Products) Find(ctx context.Context, q ProductQuery) ([]Product, error) {
	db := p.db.searches()
	found, err := fetch(ctx, db, func(ctx context.Context) ([]*ent.Product, error) { return db.findProducts(ctx, q) })
	if err != nil && ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || mysqlCode(err) == mysqlTimedOut) {
		return nil, &order.RetryError{
			After: searchRetry,
			Err:   order.Refuse(order.ErrOverloaded, order.ReasonSearchTooSlow, "the search took more than %s", searchPatience),
		}
	}
	return convert(found, fromEnt), err
}

func (db *DB) findProducts(ctx context.Context, q ProductQuery) ([]*ent.Product, error) {
	query := db.ent.Product.Query().Limit(q.Limit)
	if !q.Archived {
		query.Where(product.Archived(false))
	}
	if q.InStock {
		query.Where(product.StockGT(0))
	}
	if q.Category != "" {
		query.Where(func(s *sql.Selector) { s.Where(db.inCategory(s, q.Category)) })
	}
	if q.Text != "" {
		query.Where(func(s *sql.Selector) { db.withWords(s, strings.Fields(q.Text)) })
	}
	column, descending := db.sortColumn(q.Sort)
	if q.After != "" {
		last, err := db.ent.Product.Get(ctx, string(q.After))
		if ent.IsNotFound(err) { // Products are not deleted, so it is no token of ours.
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		query.Where(func(s *sql.Selector) { s.Where(after(s, column, sortKey(last, q.Sort), q.After, descending)) })
	}
	return query.Order(func(s *sql.Selector) {
		direction := ""
		if descending {
			direction = " DESC"
		}
		if column != nil {
			s.OrderExpr(sql.ExprFunc(func(b *sql.Builder) { column(b, s); b.WriteString(direction) }))
		}
		s.OrderExpr(sql.ExprFunc(func(b *sql.Builder) { b.Ident(s.C(product.FieldID)).WriteString(direction) }))
	}).All(ctx)
}

// sortColumn writes the column that is sorted by; nil for the SKU.
type sortColumn func(b *sql.Builder, s *sql.Selector)

func (db *DB) sortColumn(by ProductSort) (column sortColumn, descending bool) {
	named := func(name, collation string) sortColumn {
		return func(b *sql.Builder, s *sql.Selector) { b.Ident(s.C(name)).WriteString(collation) }
	}
	switch by {
	case ByPrice, ByPriceDescending:
		return named(product.FieldPriceMinor, ""), by == ByPriceDescending
	case Newest:
		return named(product.FieldCreatedAt, ""), true
	case ByName:
		if db.isMySQL() {
			return named(product.FieldName, ""), false // Its collation ignores case.
		}
		return named(product.FieldName, " COLLATE NOCASE"), false
	default:
		return nil, false
	}
}

func sortKey(p *ent.Product, by ProductSort) any {
	switch by {
	case ByPrice, ByPriceDescending:
		return p.PriceMinor
	case Newest:
		return p.CreatedAt
	default:
		return p.Name
	}
}

// after selects what follows the product with the key and the SKU.
func after(s *sql.Selector, column sortColumn, key any, sku order.SKU, descending bool) *sql.Predicate {
	op := " > "
	if descending {
		op = " < "
	}
	return sql.P(func(b *sql.Builder) {
		if column != nil {
			b.WriteString("(")
			column(b, s)
			b.WriteString(op).Arg(key).WriteString(" OR (")
			column(b, s)
			b.WriteString(" = ").Arg(key).WriteString(" AND ")
		}
		b.Ident(s.C(product.FieldID)).WriteString(op).Arg(string(sku))
		if column != nil {
			b.WriteString("))")
		}
	})
}

// inCategory looks into the JSON list of categories, byte by byte.
func (db *DB) inCategory(s *sql.Selector, category string) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		if db.isMySQL() {
			b.WriteString("JSON_CONTAINS(").Ident(s.C(product.FieldCategories)).WriteString(", JSON_QUOTE(").Arg(category).WriteString("))")
			return
		}
		b.WriteString("EXISTS (SELECT 1 FROM json_each(").Ident(s.C(product.FieldCategories)).WriteString(") WHERE json_each.value = ").Arg(category).WriteString(")")
	})
}

// withWords selects the products with all of the words. MySQL finds most words, or their beginnings, in the full-text index. The others are
// compared with the text of the products that have these.
func (db *DB) withWords(s *sql.Selector, words []string) {
	var indexed []string
	for _, word := range words[:min(len(words), MaxSearchWords)] {
		if db.isMySQL() && isIndexed(word) {
			indexed = append(indexed, "+"+strings.ToLower(word)+"*")
			continue
		}
		s.Where(contains(s, word))
	}
	if len(indexed) > 0 {
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString("MATCH (").Ident(s.C(product.FieldName)).Comma().Ident(s.C(product.FieldDescription)).
				WriteString(") AGAINST (").Arg(strings.Join(indexed, " ")).WriteString(" IN BOOLEAN MODE)")
		}))
	}
}

// contains selects the products with the word in their name or description, ignoring case.
func contains(s *sql.Selector, word string) *sql.Predicate {
	like := "%" + strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(strings.ToLower(word)) + "%"
	return sql.P(func(b *sql.Builder) {
		b.WriteString("(LOWER(").Ident(s.C(product.FieldName)).WriteString(") LIKE ").Arg(like).WriteString(" ESCAPE '!' OR LOWER(").
			Ident(s.C(product.FieldDescription)).WriteString(") LIKE ").Arg(like).WriteString(" ESCAPE '!')")
	})
}

// The lengths of the words in InnoDB's full-text indexes, in characters (innodb_ft_min_token_size, innodb_ft_max_token_size).
const (
	minIndexedWord = 3
	maxIndexedWord = 84
)

// notIndexed are the words that InnoDB leaves out (INFORMATION_SCHEMA.INNODB_FT_DEFAULT_STOPWORD) and that are long enough.
var notIndexed = []string{
	"about",
	"are",
	"com",
	"for",
	"from",
	"how",
	"that",
	"the",
	"this",
	"was",
	"what",
	"when",
	"where",
	"who",
	"will",
	"with",
	"und",
	"www",
}

// isIndexed reports whether the full-text index has the word. It has no parts of texts without spaces, as in Chinese.
func isIndexed(word string) bool {
	n := utf8.RuneCountInString(word)
	if n < minIndexedWord || n > maxIndexedWord || slices.Contains(notIndexed, strings.ToLower(word)) {
		return false
	}
	for _, r := range word {
		if !unicode.IsDigit(r) && (!unicode.IsLetter(r) || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai)) {
			return false
		}
	}
	return true
}
