package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// statementPage is how many lines of the provider are read at once.
	statementPage = 1000
	// statementMax bounds the lines that are kept in memory, some 150 bytes each.
	statementMax = 2_000_000
)

// readStatement reads all that the provider did. It is read before SQL's view is opened: then the ledger knows of everything in it, but for
// what is booked just now.
func readStatement(ctx context.Context, p Provider) (map[order.ID]StatementLine, error) {
	if p == nil {
		return nil, nil
	}
	out := make(map[order.ID]StatementLine)
	for after := order.ID(""); ; {
		page, err := p.Statement(ctx, after, statementPage)
		if err != nil {
			return nil, fmt.Errorf("read the provider's statement: %w", err)
		}
		if len(page) == 0 {
			return out, nil
		}
		for _, l := range page {
			out[l.OrderID], after = l, l.OrderID
		}
		if len(out) > statementMax {
			return nil, fmt.Errorf("the provider's statement has more than %d lines; audit without it: %w", statementMax, order.ErrFailedPrecondition)
		}
	}
}

// providerMatchesLedger compares, order by order, what the provider took and gave back with what the ledger says. While running, orders
// whose money moved within the grace are left out: one side is ahead of the other for a moment.
func providerMatchesLedger(ctx context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
	left := maps.Clone(b.statement)
	err := b.view.Ledger(ctx, func(l store.LedgerLine) {
		theirs, known := left[l.OrderID]
		delete(left, l.OrderID)
		if detail := disagreement(l, theirs, known); detail != "" && (b.horizon.Drained || !l.Moving) {
			flaw(store.Flaw{OrderID: l.OrderID, Detail: detail})
		}
	})
	if err != nil {
		return 0, err
	}
	maps.DeleteFunc(left, func(_ order.ID, l StatementLine) bool { return !l.Taken })
	return int64(len(b.statement)), b.takenUnknown(ctx, slices.Sorted(maps.Keys(left)), flaw)
}

// disagreement is what the two sides do not agree on; empty when they do.
func disagreement(ours store.LedgerLine, theirs StatementLine, known bool) string {
	taken := ours.State == store.ChargeSucceeded || ours.State == store.ChargeRefunding || ours.State == store.ChargeRefunded
	switch {
	case taken && !known:
		return fmt.Sprintf("the ledger took %s, the provider has never heard of it", ours.Amount)
	case taken && !theirs.Taken:
		return fmt.Sprintf("the ledger took %s, the provider nothing", ours.Amount)
	case !taken && theirs.Taken:
		return fmt.Sprintf("the provider took %s, the ledger nothing", theirs.Amount)
	case taken && ours.Amount != theirs.Amount:
		return fmt.Sprintf("the ledger took %s, the provider %s", ours.Amount, theirs.Amount)
	case theirs.Returned < ours.Confirmed:
		return fmt.Sprintf("the ledger has confirmed refunds of %d, the provider gave back %d of %s", ours.Confirmed, theirs.Returned, theirs.Amount)
	case theirs.Returned > ours.Booked:
		return fmt.Sprintf("the ledger has booked refunds of %d, the provider gave back %d of %s", ours.Booked, theirs.Returned, theirs.Amount)
	}
	return ""
}

// takenUnknown finds money that the provider took and of which the ledger has no line. While running, a young order's line may follow, and
// the reconciler finds the charge of one that is PENDING.
func (b *books) takenUnknown(ctx context.Context, ids []order.ID, flaw func(store.Flaw)) error {
	for chunk := range slices.Chunk(ids, rowsAtOnce) {
		rows, err := b.view.Rows(ctx, chunk)
		if err != nil {
			return err
		}
		for _, id := range chunk {
			row, ok := rows[id]
			undecided := ok && row.State == order.Pending || !id.Time().Before(b.horizon.Since)
			if b.horizon.Drained || !undecided {
				l := b.statement[id]
				flaw(store.Flaw{OrderID: id, Detail: fmt.Sprintf("the provider took %s and gave back %d of it, the ledger has no line of it", l.Amount, l.Returned)})
			}
		}
	}
	return nil
}
