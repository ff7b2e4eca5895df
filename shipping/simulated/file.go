package simulated

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // The driver "sqlite".

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
)

// filePragmas are the options of the SQLite driver. Several processes write to the file. With synchronous off, parcels survive a crash of the
// process but not a power cut.
const filePragmas = "?_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_txlock=immediate"

// parcelFile stores parcels in an SQLite file, with how often each was offered.
type parcelFile struct{ db *sql.DB }

// Open makes the carrier store its parcels in the SQLite file at path, which is created if missing. Processes may share the file. The caller
// must close the carrier. Open must be called before the first call of Ship.
func (c *Carrier) Open(path string) error {
	db, err := sql.Open("sqlite", "file:"+path+filePragmas)
	if err != nil {
		return fmt.Errorf("open file of the simulated carrier: %w", err)
	}
	_, err = db.ExecContext(context.Background(), "CREATE TABLE IF NOT EXISTS parcels (order_id TEXT PRIMARY KEY, tracking_id TEXT NOT NULL, "+
		"offers INTEGER NOT NULL) WITHOUT ROWID")
	if err != nil {
		return fmt.Errorf("open file %s of the simulated carrier: %w", path, errors.Join(err, db.Close()))
	}
	c.file = &parcelFile{db}
	return nil
}

// Close closes the file, if there is one. The carrier must not be used after it.
func (c *Carrier) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.db.Close()
}

// has reports whether the carrier has the parcel of an order.
func (f *parcelFile) has(ctx context.Context, id order.ID) (found bool, err error) {
	err = f.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM parcels WHERE order_id = ?)", id).Scan(&found)
	return found, err
}

// accept stores the parcel of an order, once, and counts the offer.
func (f *parcelFile) accept(ctx context.Context, p shipping.Parcel) error {
	_, err := f.db.ExecContext(ctx, "INSERT INTO parcels (order_id, tracking_id, offers) VALUES (?,?,1) ON CONFLICT (order_id) DO UPDATE SET offers = offers + 1",
		p.OrderID, p.TrackingID)
	return err
}
