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
	// statementPage is the number of the provider's lines per request.
	statementPage = 1000
	// maxStatementLines bounds the lines that are kept in memory, about 150 bytes each.
	maxStatementLines = 2_000_000
)

// readStatement reads the provider's whole statement. It is read before the view of SQL is opened, so that the ledger
// contains everything in it, except for charges that are being booked.
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
		if len(out) > maxStatementLines {
			return nil, fmt.Errorf("the provider's statement has more than %d lines; audit without it: %w", maxStatementLines, order.ErrFailedPrecondition)
		}
	}
}

// providerMatchesLedger compares the amounts that the provider took and refunded with the ledger, order by order. While
// the shop is running it skips orders with a charge or refund that changed within the grace, because one side may be
// ahead of the other.
func providerMatchesLedger(ctx context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	left := maps.Clone(b.statement)
	err := b.view.Ledger(ctx, func(l store.LedgerLine) {
		theirs, known := left[l.OrderID]
		delete(left, l.OrderID)
		if detail := disagreement(l, theirs, known); detail != "" && (b.horizon.Drained || !l.Moving) {
			report(store.Violation{OrderID: l.OrderID, Detail: detail})
		}
	})
	if err != nil {
		return 0, err
	}
	// What went back in full is no loss: an operator has refunded the charge of an order that a restored backup does not have.
	maps.DeleteFunc(left, func(_ order.ID, l StatementLine) bool { return !l.Taken || l.Returned == l.Amount.Amount })
	return int64(len(b.statement)), b.takenUnknown(ctx, slices.Sorted(maps.Keys(left)), report)
}

// disagreement describes the difference between the two sides; empty if there is none.
func disagreement(ours store.LedgerLine, theirs StatementLine, known bool) string {
	taken := ours.State == order.ChargeSucceeded || ours.State == order.ChargeRefunding || ours.State == order.ChargeRefunded
	switch {
	case taken && !known:
		return fmt.Sprintf("the ledger took %s, the provider has no record of it", ours.Amount)
	case taken && !theirs.Taken:
		return fmt.Sprintf("the ledger took %s, the provider nothing", ours.Amount)
	case !taken && theirs.Taken:
		return fmt.Sprintf("the provider took %s, the ledger nothing", theirs.Amount)
	case taken && ours.Amount != theirs.Amount:
		return fmt.Sprintf("the ledger took %s, the provider %s", ours.Amount, theirs.Amount)
	case theirs.Returned < ours.Confirmed:
		return fmt.Sprintf("the ledger has confirmed refunds of %d, the provider refunded %d of %s", ours.Confirmed, theirs.Returned, theirs.Amount)
	case theirs.Returned > ours.Booked:
		return fmt.Sprintf("the ledger has booked refunds of %d, the provider refunded %d of %s", ours.Booked, theirs.Returned, theirs.Amount)
	}
	return ""
}

// takenUnknown finds charges of the provider that are not in the ledger. While the shop is running, the line of a young
// order may follow, and the reconciler finds the charge of one that is PENDING.
func (b *snapshot) takenUnknown(ctx context.Context, ids []order.ID, report func(store.Violation)) error {
	for chunk := range slices.Chunk(ids, maxRowsPerQuery) {
		rows, err := b.view.Rows(ctx, chunk)
		if err != nil {
			return err
		}
		for _, id := range chunk {
			row, ok := rows[id]
			undecided := ok && row.State == order.Pending || !id.Time().Before(b.horizon.Since)
			if b.horizon.Drained || !undecided {
				l := b.statement[id]
				report(store.Violation{OrderID: id, Detail: fmt.Sprintf("the provider took %s and refunded %d of it, the ledger has no line for it", l.Amount, l.Returned)})
			}
		}
	}
	return nil
}
