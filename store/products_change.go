package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// ProductField is a column of a product that Update can change.
type ProductField string

// The fields, by their names in the API.
const (
	ProductName        ProductField = "name"
	ProductDescription ProductField = "description"
	ProductPicture     ProductField = "picture"
	ProductPrice       ProductField = "price"
	ProductCategories  ProductField = "categories"
	ProductArchived    ProductField = "archived"

	ProductMaxPerCustomer ProductField = "max_per_customer"
	ProductSaleStart      ProductField = "sale_start_time"
)

// ProductFields lists all of them.
func ProductFields() []ProductField {
	return []ProductField{
		ProductName, ProductDescription, ProductPicture, ProductPrice, ProductCategories, ProductArchived, ProductMaxPerCustomer, ProductSaleStart,
	}
}

// Update changes the given fields of a product in one statement, so that concurrent updates of other fields are kept. It returns
// order.ErrNotFound when there is no such product.
func (p *Products) Update(ctx context.Context, pr Product, fields []ProductField) error {
	return p.db.call(ctx, func(ctx context.Context) error {
		u := p.db.ent.Product.UpdateOneID(string(pr.SKU)).SetUpdatedAt(micro(time.Now()))
		for _, f := range fields {
			setField(u, pr, f)
		}
		err := u.Exec(ctx)
		if ent.IsNotFound(err) {
			return order.ProductNotFound(pr.SKU)
		}
		return err
	})
}

func setField(u *ent.ProductUpdateOne, pr Product, f ProductField) {
	switch f {
	case ProductName:
		u.SetName(pr.Name)
	case ProductDescription:
		u.SetDescription(pr.Description)
	case ProductPicture:
		u.SetPicture(pr.Picture)
	case ProductPrice:
		u.SetPriceMinor(int64(pr.Price.Amount)).SetCurrency(string(pr.Price.Currency))
	case ProductCategories:
		u.SetCategories(slices.Concat([]string{}, pr.Categories))
	case ProductArchived:
		u.SetArchived(pr.Archived)
	case ProductSaleStart:
		if pr.SaleStartsAt.IsZero() {
			u.ClearSaleStartsAt()
			return
		}
		u.SetSaleStartsAt(micro(pr.SaleStartsAt))
	case ProductMaxPerCustomer:
		u.SetMaxPerCustomer(int32(pr.MaxPerCustomer)) //nolint:gosec // At most order.MaxQuantity.
	}
}

// Seed creates the products in a database that never had any, all or none, and returns how many it created: 0 in every other database,
// so that products which were changed, archived or removed do not come back. A stock adjustment is left by every product that ever was.
func (p *Products) Seed(ctx context.Context, products []Product) (created int, err error) {
	err = p.db.call(ctx, func(ctx context.Context) error {
		created, err = p.seed(ctx, products)
		return err
	})
	if isDuplicate(err) { // Another process seeds at the same moment.
		return 0, nil
	}
	return created, err
}

func (p *Products) seed(ctx context.Context, products []Product) (int, error) {
	tx, err := p.db.ent.Tx(ctx)
	if err != nil {
		return 0, err
	}
	used, err := hadProducts(ctx, tx)
	if err != nil || used {
		return 0, errors.Join(err, tx.Rollback())
	}
	for _, pr := range products {
		if err := insertProduct(ctx, tx, pr, "seed"); err != nil {
			return 0, errors.Join(fmt.Errorf("seed %s: %w", pr.SKU, err), tx.Rollback())
		}
	}
	return len(products), tx.Commit()
}

func hadProducts(ctx context.Context, tx *ent.Tx) (bool, error) {
	if there, err := tx.Product.Query().Exist(ctx); err != nil || there {
		return there, err
	}
	return tx.StockAdjustment.Query().Exist(ctx)
}
