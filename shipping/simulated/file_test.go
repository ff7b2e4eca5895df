package simulated

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/shipping"
)

// openFile opens a carrier with its parcels in the file, until the test ends.
func openFile(t *testing.T, path string) *Carrier {
	t.Helper()
	var c Carrier
	if err := c.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &c
}

// TestOpen_SharedFile: a parcel that one process handed over, without a response, is a parcel that the carrier has for another one.
func TestOpen_SharedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "carrier.db")
	first, second := openFile(t, path), openFile(t, path)
	p := shipping.Parcel{OrderID: newID(), TrackingID: "SPW1"}
	first.SetMode(Late)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := first.Ship(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a late response: %v", err)
	}
	second.SetMode(Late)
	if err := second.Ship(t.Context(), p); err != nil {
		t.Errorf("the retry of another process: %v", err)
	}
	var parcels, offers int
	if err := second.file.db.QueryRow("SELECT COUNT(*), SUM(offers) FROM parcels").Scan(&parcels, &offers); err != nil || parcels != 1 || offers != 2 {
		t.Errorf("%d parcels of %d offers: %v", parcels, offers, err)
	}
	if err := new(Carrier).Open(t.TempDir()); err == nil {
		t.Error("opened a folder as a file")
	}
}
