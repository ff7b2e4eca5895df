package store

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/product"
	"github.com/spillway/spillway/order"
)

// Product is what can be bought.
type Product struct {
	SKU                        order.SKU
	Name, Description, Picture string
	Price                      order.Money
	Categories                 []string
	// Stock is in units, at the flusher's offset in the journal.
	Stock int64
	// Archived products are not sold any more.
	Archived bool
	// MaxPerCustomer is how many units one customer may order within a day, in one order or several; 0 is no limit.
	MaxPerCustomer int
	// SaleStartsAt is when orders begin to be taken; zero if they always were.
	SaleStartsAt time.Time
}

// Products keeps the catalogue.
type Products struct{ db *DB }

// NewProducts makes the repository.
func NewProducts(db *DB) *Products { return &Products{db: db} }

// Create adds a product with its first stock, which is booked as an adjustment in the same transaction. No counter can
// exist for it in Redis yet, so the first reservation loads it from here. order.ErrAlreadyExists when the SKU is taken.
func (p *Products) Create(ctx context.Context, pr Product, actor string) error {
	return p.CreateAll(ctx, []Product{pr}, actor)
}

// CreateAll is Create for several products: all of them, or none.
func (p *Products) CreateAll(ctx context.Context, products []Product, actor string) error {
	return p.db.call(ctx, func(ctx context.Context) error { return p.create(ctx, products, actor) })
}

func (p *Products) create(ctx context.Context, products []Product, actor string) error {
	tx, err := p.db.ent.Tx(ctx)
	if err != nil {
		return err
	}
	for _, pr := range products {
		if err := insertProduct(ctx, tx, pr, actor); err != nil {
			err = errors.Join(err, tx.Rollback())
			if isDuplicate(err) {
				return order.Refuse(order.ErrAlreadyExists, order.ReasonProductExists, "product %s exists already", pr.SKU)
			}
			return err
		}
	}
	return tx.Commit()
}

func insertProduct(ctx context.Context, tx *ent.Tx, pr Product, actor string) error {
	now := micro(time.Now())
	categories := pr.Categories
	if categories == nil {
		categories = []string{}
	}
	reserve, err := firstReserve(ctx, tx.Client(), pr.Stock)
	if err != nil {
		return err
	}
	err = tx.Product.Create().SetReserve(reserve).SetID(string(pr.SKU)).SetName(pr.Name).SetDescription(pr.Description).SetPicture(pr.Picture).
		SetPriceMinor(int64(pr.Price.Amount)).SetCurrency(string(pr.Price.Currency)).SetCategories(categories).
		SetStock(pr.Stock).SetArchived(pr.Archived).
		SetMaxPerCustomer(int32(pr.MaxPerCustomer)). //nolint:gosec // At most order.MaxQuantity.
		SetNillableSaleStartsAt(timeOrNil(pr.SaleStartsAt)).
		SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx)
	if err != nil {
		return err
	}
	return tx.StockAdjustment.Create().SetID("initial:" + string(pr.SKU)).SetSku(string(pr.SKU)).SetDelta(pr.Stock).
		SetReason("initial stock").SetActor(truncate(actor, 64)).SetCreatedAt(now).Exec(ctx)
}

// Get reads a product; order.ErrNotFound when there is none of that SKU.
func (p *Products) Get(ctx context.Context, sku order.SKU) (Product, error) {
	var out Product
	err := p.db.call(ctx, func(ctx context.Context) error {
		found, err := p.db.ent.Product.Get(ctx, string(sku))
		if ent.IsNotFound(err) {
			return order.ProductNotFound(sku)
		}
		if err == nil {
			out = fromEnt(found)
		}
		return err
	})
	return out, err
}

// List reads up to limit products that are sold, with SKUs after the given one, in the order of their SKUs.
func (p *Products) List(ctx context.Context, after order.SKU, limit int) ([]Product, error) {
	return find(ctx, p.db, p.db.ent.Product.Query().Where(product.Archived(false)), after, limit)
}

// ListAll is List including archived products.
func (p *Products) ListAll(ctx context.Context, after order.SKU, limit int) ([]Product, error) {
	return find(ctx, p.db, p.db.ent.Product.Query(), after, limit)
}

func find(ctx context.Context, db *DB, q *ent.ProductQuery, after order.SKU, limit int) ([]Product, error) {
	var found []*ent.Product
	err := db.call(ctx, func(ctx context.Context) (err error) {
		found, err = q.Where(product.IDGT(string(after))).Order(product.ByID()).Limit(limit).All(ctx)
		return err
	})
	return convert(found, fromEnt), err
}

func fromEnt(f *ent.Product) Product {
	return Product{
		SKU: order.SKU(f.ID), Name: f.Name, Description: f.Description, Picture: f.Picture, Categories: f.Categories,
		Price: order.Money{Currency: order.Currency(f.Currency), Amount: order.Cents(f.PriceMinor)}, Stock: f.Stock, Archived: f.Archived,
		MaxPerCustomer: int(f.MaxPerCustomer), SaleStartsAt: timeOf(f.SaleStartsAt),
	}
}
