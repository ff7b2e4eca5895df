package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// measureSQL measures the obvious way, with as many clients as the other measurements.
func measureSQL(ctx context.Context, st *stage, l load) (outcome, error) {
	s, err := openPlainShop(ctx, st.db)
	if err != nil {
		return outcome{}, err
	}
	o, err := l.run(ctx, func(int) caller { return s })
	if err != nil {
		return o, err
	}
	var left int
	if err := s.db.QueryRowContext(ctx, "SELECT stock FROM plain_products WHERE sku = ?", s.sku).Scan(&left); err != nil {
		return o, err
	}
	if sold := initialStock - left; sold < o.accepted || sold > o.accepted+o.unknown() {
		return o, fmt.Errorf("%d orders, but %d units sold", o.accepted, sold)
	}
	return o, nil
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

// durability describes the durability of a commit of this MySQL: the ratios mean little if it is below the disk.
func (s *stage) durability() string {
	var version, binlog string
	var flush int
	err := s.db.QueryRow("SELECT VERSION(), @@innodb_flush_log_at_trx_commit, @@log_bin").Scan(&version, &flush, &binlog)
	if err != nil {
		return "MySQL (" + err.Error() + ")"
	}
	return fmt.Sprintf("MySQL %s, innodb_flush_log_at_trx_commit=%d, log_bin=%s", version, flush, binlog)
}
