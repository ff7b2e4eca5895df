package simulated

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

func TestProvider_AttemptsAfterADecline(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *Provider) {
		id := newID()
		attempt := func(n int, number string, wantAttempt int, wantCharged bool) {
			t.Helper()
			for range 2 { // Each attempt is made once.
				got, err := s.ChargeAgain(t.Context(), id, n, twelve, goodCard(number))
				if err != nil || got.Attempt != wantAttempt || got.Succeeded != wantCharged {
					t.Errorf("attempt %d: %+v, %v; want attempt %d, charged %v", n, got, err, wantAttempt, wantCharged)
				}
			}
		}
		attempt(1, cardDeclined, 1, false)
		attempt(2, cardInsufficientFunds, 2, false)
		attempt(1, "4242424242424242", 2, false) // An earlier attempt charges nothing.
		attempt(3, "4242424242424242", 3, true)
		attempt(4, "5555555555554444", 3, true) // The order is charged already.
		if err := s.Refund(t.Context(), id, "r1", twelve); err != nil {
			t.Fatal(err)
		}
		if found, _, err := s.Find(t.Context(), id); err != nil || !found.Refunded || found.Attempt != 3 {
			t.Errorf("after the refund: %+v, %v", found, err)
		}
	})
}

// TestOpen_FileOfAnOlderVersion opens a file without the column for the attempt.
func TestOpen_FileOfAnOlderVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provider.db")
	db, err := sql.Open("sqlite", "file:"+path+filePragmas)
	if err != nil {
		t.Fatal(err)
	}
	id := newID()
	for _, stmt := range []string{
		"CREATE TABLE outcomes (order_id TEXT PRIMARY KEY, amount INTEGER NOT NULL, currency TEXT NOT NULL, succeeded INTEGER NOT NULL, " +
			"decline_code TEXT NOT NULL, refunded INTEGER NOT NULL) WITHOUT ROWID",
		"INSERT INTO outcomes VALUES ('" + string(id) + "', 1200, 'EUR', 1, '', 0)",
	} {
		if _, err := db.ExecContext(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		want := payment.Outcome{Amount: order.Money{Currency: "EUR", Amount: 1200}, Succeeded: true, Attempt: 1}
		if found, ok, err := openFile(t, path).Find(t.Context(), id); !ok || err != nil || found != want {
			t.Errorf("found %+v, %v, %v; want %+v", found, ok, err, want)
		}
	}
}
