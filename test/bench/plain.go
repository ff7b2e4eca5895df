package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
)

// plainShop is the obvious way to take an order: one SQL transaction that locks the product's row, takes a unit and
// writes the order. Its tables copy the real ones with their indexes and checks, so that a row costs the same.
type plainShop struct {
	db       *sql.DB
	sku      string
	customer order.CustomerID
}

// plainTables are copies of the tables without the prefix.
var plainTables = []string{
	"CREATE TABLE plain_products LIKE products", "CREATE TABLE plain_orders LIKE orders",
	"CREATE TABLE plain_order_items LIKE order_items",
}

func openPlainShop(ctx context.Context, db *sql.DB) (*plainShop, error) {
	for _, statement := range plainTables {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	s := &plainShop{db: db, sku: newSKU(), customer: auth.NewGuest()}
	now := time.Now()
	_, err := db.ExecContext(ctx, "INSERT INTO plain_products (sku, name, description, picture, price_minor, currency, categories, stock, "+
		"created_at, updated_at) VALUES (?,?,'','',199,'USD','[]',?,?,?)", s.sku, productName, initialStock, now, now)
	return s, err
}

// runSQL measures the obvious way, with as many clients as the other measurements, on tables like those of the build.
func runSQL(ctx context.Context, r *run, b *build) (_ []row, err error) {
	d, err := openDatabase(ctx, "bench-"+strings.ToLower(rand.Text()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.drop()) }()
	if err := r.stage.command(ctx, commandTimeout, r.stage.dir, []string{"SPILLWAY_MYSQL=" + d.dsn}, b.binary, "migrate", "up"); err != nil {
		return nil, err
	}
	r.mysql = d.durability(ctx)
	s, err := openPlainShop(ctx, d.db)
	if err != nil {
		return nil, err
	}
	m := r.newMeter()
	defer m.close()
	o, err := r.load().run(ctx, func(int) caller { return s })
	if err != nil {
		return nil, err
	}
	return []row{measured(rowSQL, o).withCPU(m, o)}, s.check(ctx, o)
}

// check compares the stock with the orders.
func (s *plainShop) check(ctx context.Context, o outcome) error {
	var left int
	if err := s.db.QueryRowContext(ctx, "SELECT stock FROM plain_products WHERE sku = ?", s.sku).Scan(&left); err != nil {
		return err
	}
	if sold := initialStock - left; sold < o.accepted || sold > o.accepted+o.unknown() {
		return fmt.Errorf("%d orders, but %d units sold", o.accepted, sold)
	}
	return nil
}

var errSoldOut = errors.New("sold out")

// call places one order. The number of a MySQL error is its code.
func (s *plainShop) call(ctx context.Context) (code string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.place(ctx)
	var refused *mysql.MySQLError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return fmt.Sprintf("mysql_%d", refused.Number)
	case errors.Is(err, errSoldOut):
		return "sold_out"
	}
	return codeNoResponse
}

func (s *plainShop) close() {}

func (s *plainShop) place(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var left int
	if err := tx.QueryRowContext(ctx, "SELECT stock FROM plain_products WHERE sku = ? FOR UPDATE", s.sku).Scan(&left); err != nil {
		return err
	}
	if left < 1 {
		return errSoldOut
	}
	now := time.Now()
	id := order.NewID(0, now)
	if _, err := tx.ExecContext(ctx, "UPDATE plain_products SET stock = stock - 1, updated_at = ? WHERE sku = ? AND stock >= 1", now, s.sku); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO plain_orders (id, customer_id, state, currency, items_total, shipping_total, total, email, "+
		"ship_name, ship_street, ship_city, ship_region, ship_postal_code, ship_country, tracking_id, idempotency_key, fingerprint, cancel_reason, "+
		"created_at, updated_at) VALUES (?,?,1,'EUR',199,899,1098,'a@example.com','A','S 1','Berlin','','10115','DE',?,?,?,'',?,?)",
		id, s.customer, "SPW"+id, id, []byte(id), now, now); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO plain_order_items (order_id, sku, name, quantity, unit_price) VALUES (?,?,?,1,199)",
		id, s.sku, productName); err != nil {
		return err
	}
	return tx.Commit()
}
