package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestLeaseDue_OneDispatcherAtATime(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails, id := store.NewMails(db), order.NewID(0, at)
		for range 2 { // A second time is the same mail.
			if err := mails.AddDue(t.Context(), id, order.MailCancelled); err != nil {
				t.Fatal(err)
			}
		}
		db.RawSQL(t, "INSERT INTO order_cancellations (order_id, reason, actor, units, refund_amount, refund_currency, attempts, next_try_at, created_at) "+
			"VALUES (?, 'r', 'a', '', 3645, 'EUR', 0, ?, ?)", id, at, at)
		take := func(want int) []store.DueMail {
			t.Helper()
			due, err := mails.LeaseDue(t.Context(), 10, lease)
			if err != nil || len(due) != want {
				t.Fatalf("took %+v, %v; want %d", due, err, want)
			}
			return due
		}
		d := take(1)[0]
		if d.OrderID != id || d.Kind != order.MailCancelled || d.Attempts != 1 || d.Refund != (order.Money{Currency: "EUR", Amount: 3645}) {
			t.Errorf("due is %+v", d)
		}
		take(0) // It is somebody's.
		if err := mails.PostponeDue(t.Context(), []int64{d.ID}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if d := take(1)[0]; d.Attempts != 2 {
			t.Errorf("due is %+v; want the second attempt", d)
		}
		if err := mails.DropDue(t.Context(), []int64{d.ID}); err != nil {
			t.Fatal(err)
		}
		db.RawSQL(t, "UPDATE due_mails SET next_try_at = ?", at)
		take(0)
	})
}

// TestMails_SentInBatches: what is recorded twice, also by two batches at once that overlap, is recorded once.
func TestMails_SentInBatches(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails := store.NewMails(db)
		var all []order.MailID
		for range 60 {
			id := order.NewID(0, at)
			all = append(all, order.MailID{OrderID: id, Kind: order.MailConfirmation}, order.MailID{OrderID: id, Kind: order.MailShipped})
		}
		if sent, err := mails.Sent(t.Context(), all); err != nil || len(sent) != 0 {
			t.Errorf("before: %v, %v", sent, err)
		}
		recorded := all[:90]
		var wg sync.WaitGroup
		for i := range 6 {
			batch := slices.Clone(recorded[i*10 : i*10+40])
			slices.Reverse(batch)
			wg.Go(func() {
				for range 3 {
					if err := mails.MarkSent(t.Context(), sentTo("r", batch)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		sent, err := mails.Sent(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range all {
			if sent[id] != (i < len(recorded)) {
				t.Errorf("%d: %s is sent: %v", i, id, sent[id])
			}
		}
		if n := db.RawSQL(t, "DELETE FROM sent_mails"); n != int64(len(recorded)) {
			t.Errorf("%d rows; want %d", n, len(recorded))
		}
		if sent, err := mails.Sent(t.Context(), nil); err != nil || len(sent) != 0 {
			t.Errorf("of none: %v, %v", sent, err)
		}
		if err := mails.MarkSent(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// sentTo records that the mails were sent to the recipient.
func sentTo(r order.Recipient, mails []order.MailID) []order.SentMail {
	out := make([]order.SentMail, len(mails))
	for i, id := range mails {
		out[i] = order.SentMail{MailID: id, Recipient: r}
	}
	return out
}

// TestMails_CountTo: what was sent since a time counts for its recipient; what was skipped counts for none, and is not sent again.
func TestMails_CountTo(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails := store.NewMails(db)
		id := func() order.MailID { return order.MailID{OrderID: order.NewID(0, at), Kind: order.MailShipped} }
		ada, bob := order.RecipientOf("ada@example.com"), order.RecipientOf("bob@example.com")
		skipped := order.SentMail{MailID: id(), Skipped: order.SkipRecipientLimit}
		for _, batch := range [][]order.SentMail{sentTo(ada, []order.MailID{id(), id(), id()}), sentTo(bob, []order.MailID{id()}), {skipped}} {
			if err := mails.MarkSent(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		counts := func(since time.Duration) map[order.Recipient]int {
			got, err := mails.CountTo(t.Context(), []order.Recipient{ada, bob, ada, "other"}, time.Now().Add(-since))
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := counts(time.Hour); len(got) != 2 || got[ada] != 3 || got[bob] != 1 {
			t.Errorf("counted %v; want 3 and 1", got)
		}
		db.RawSQL(t, "UPDATE sent_mails SET sent_at = ? WHERE recipient = ?", time.Now().Add(-2*time.Hour).UTC(), string(ada))
		if got := counts(time.Hour); len(got) != 1 || got[bob] != 1 {
			t.Errorf("counted %v after an hour; want 1 of bob", got)
		}
		if sent, err := mails.Sent(t.Context(), []order.MailID{skipped.MailID}); err != nil || !sent[skipped.MailID] {
			t.Errorf("the skipped mail is not recorded: %v", err)
		}
		facts, err := store.NewOrders(db).OrderFacts(t.Context(), skipped.OrderID)
		if err != nil || len(facts.Mails) != 1 || facts.Mails[0].Sent || facts.Mails[0].Skipped != order.SkipRecipientLimit {
			t.Errorf("facts %+v, %v; want a skipped mail", facts.Mails, err)
		}
	})
}

func TestDeadLetterDue_MailBecomesADeadLetter(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails, id := store.NewMails(db), order.NewID(0, at)
		if err := mails.AddDue(t.Context(), id, order.MailShipped); err != nil {
			t.Fatal(err)
		}
		due, err := mails.LeaseDue(t.Context(), 1, lease)
		if err != nil || len(due) != 1 {
			t.Fatal(due, err)
		}
		dead := store.DeadLetter{DedupKey: "mailer/x", Source: "mailer", OrderID: string(id), Reason: "no", Attempts: 12}
		if err := mails.DeadLetterDue(t.Context(), []store.DeadMail{{ID: due[0].ID, DeadLetter: dead}}); err != nil {
			t.Fatal(err)
		}
		if n := db.RawSQL(t, "DELETE FROM due_mails"); n != 0 {
			t.Errorf("%d mails are still due", n)
		}
		if n := db.RawSQL(t, "DELETE FROM failed_orders WHERE dedup_key = 'mailer/x' AND attempts = 12"); n != 1 {
			t.Error("there is no dead letter")
		}
	})
}

// TestDeadLetterDue_ABadOneCostsOnlyItself: SQL cannot take one of three dead letters; its mail stays due.
func TestDeadLetterDue_ABadOneCostsOnlyItself(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails := store.NewMails(db)
		var dead []store.DeadMail
		for i, key := range []string{"a", "bad", "c"} {
			id := order.NewID(0, at)
			if err := mails.AddDue(t.Context(), id, order.MailShipped); err != nil {
				t.Fatal(err)
			}
			dead = append(dead, store.DeadMail{DeadLetter: store.DeadLetter{DedupKey: key, Source: "mailer", OrderID: string(id), Attempts: i}})
		}
		db.RawSQL(t, "CREATE TRIGGER refuse BEFORE INSERT ON failed_orders FOR EACH ROW "+map[bool]string{
			true:  "BEGIN IF NEW.dedup_key = 'bad' THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1048, MESSAGE_TEXT = 'bad'; END IF; END",
			false: "WHEN NEW.dedup_key = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END",
		}[db.Dialect() == "mysql"])
		due, err := mails.LeaseDue(t.Context(), 10, lease)
		if err != nil || len(due) != len(dead) {
			t.Fatal(due, err)
		}
		for i := range dead {
			for _, d := range due {
				if string(d.OrderID) == dead[i].OrderID {
					dead[i].ID = d.ID
				}
			}
		}
		if err := mails.DeadLetterDue(t.Context(), dead); !store.IsRowError(err) {
			t.Errorf("got %v; want the error of the bad one", err)
		}
		if n := db.RawSQL(t, "DELETE FROM failed_orders"); n != 2 {
			t.Errorf("%d dead letters; want 2", n)
		}
		if n := db.RawSQL(t, "DELETE FROM due_mails WHERE order_id = ?", dead[1].OrderID); n != 1 {
			t.Error("the mail of the bad one is not due any more")
		}
		if n := db.RawSQL(t, "DELETE FROM due_mails"); n != 0 {
			t.Errorf("%d mails are still due", n)
		}
	})
}

// TestReturnDue_IsNoAttempt: a mail that was leased and not tried keeps its attempts.
func TestReturnDue_IsNoAttempt(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails := store.NewMails(db)
		if err := mails.AddDue(t.Context(), order.NewID(0, at), order.MailShipped); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			due, err := mails.LeaseDue(t.Context(), 10, lease)
			if err != nil || len(due) != 1 || due[0].Attempts != 1 {
				t.Fatalf("due are %+v, %v; want one with its first attempt", due, err)
			}
			if err := mails.ReturnDue(t.Context(), []int64{due[0].ID}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLeaseDue_ConcurrentDispatchers: each mail is leased by one of several dispatchers at once, which meanwhile remove theirs and add others.
func TestLeaseDue_ConcurrentDispatchers(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		mails, mailsEach, dispatchers := store.NewMails(db), 120, 4
		var mu sync.Mutex
		leased := map[order.ID]int{}
		var wg sync.WaitGroup
		for range dispatchers {
			wg.Go(func() {
				ids := make([]order.ID, mailsEach)
				for i := range ids {
					ids[i] = order.NewID(0, time.Now())
				}
				if err := mails.AddAllDue(t.Context(), order.MailShipped, ids); err != nil {
					t.Error(err)
				}
				for {
					due, err := mails.LeaseDue(t.Context(), 25, time.Hour)
					if err != nil || len(due) == 0 {
						if err != nil {
							t.Error(err)
						}
						return
					}
					done := make([]int64, len(due))
					mu.Lock()
					for i, d := range due {
						leased[d.OrderID]++
						done[len(due)-1-i] = d.ID
					}
					mu.Unlock()
					if err := mails.DropDue(t.Context(), done); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for id, n := range leased {
			if n != 1 {
				t.Errorf("the mail of %s was leased %d times", id, n)
			}
		}
		rest, err := mails.LeaseDue(t.Context(), 1000, time.Hour)
		if err != nil || len(leased)+len(rest) != dispatchers*mailsEach {
			t.Errorf("%d mails leased, %d left, %v; want %d", len(leased), len(rest), err, dispatchers*mailsEach)
		}
	})
}
