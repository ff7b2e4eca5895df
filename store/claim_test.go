package store_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestClaimRedis_OneProcessPerDatabase until it lets go, and no other database of the same server.
func TestClaimRedis_OneProcessPerDatabase(t *testing.T) {
	dsn, other := realparts.MySQL(t), realparts.MySQL(t)
	claim, release := claimed(t, dsn)
	if again, err := openDB(t, dsn).ClaimRedis(t.Context()); !errors.Is(err, store.ErrClaimed) {
		t.Errorf("a second one got %v (%v)", again, err)
	}
	claimed(t, other)
	if err := claim.Take(t.Context()); err != nil {
		t.Errorf("renewing it: %v", err)
	}
	release()
	claimed(t, dsn)
}

// TestClaimShipping_AfterItsLease after MySQL forgot its connection.
func TestClaimShipping_AfterItsLease(t *testing.T) {
	dsn := realparts.MySQL(t)
	claim, _ := claimed(t, dsn)
	other, before := openDB(t, dsn), claim.Connection(t)
	if err := store.Exec(t.Context(), other, "KILL ?", before); err != nil {
		t.Fatal(err)
	}
	if err := claim.Take(t.Context()); err != nil {
		t.Errorf("on a new connection: %v", err)
	}
	if now := claim.Connection(t); now == before {
		t.Errorf("connection %d still has it: the test has tested nothing", now)
	}
	if _, err := other.ClaimRedis(t.Context()); !errors.Is(err, store.ErrClaimed) {
		t.Errorf("a second one got it (%v)", err)
	}
}

// claimed claims the database until the test ends or release is called.
func claimed(t *testing.T, dsn string) (claim *store.RedisClaim, release func()) {
	t.Helper()
	claim, err := openDB(t, dsn).ClaimRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = func() {
		over, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel()
		claim.Keep(over, slog.New(slog.DiscardHandler))
	}
	t.Cleanup(release)
	return claim, release
}
