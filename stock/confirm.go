package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/order"
)

// confirm compares a hot order of an earlier epoch with SQL, and brings it to SQL's state if that is further: a Redis that lost data may
// hold an order as pending that SQL has released: its units must not return again. It returns nil if another epoch opened meanwhile: the
// caller's next step fails with errEpoch.
func (s *Stock) confirm(ctx context.Context, epoch int64, id order.ID) error {
	st, err := s.store.OrderStatus(ctx, id)
	if err != nil {
		return fmt.Errorf("compare order %s with SQL: %w", id, err)
	}
	state := ""
	switch st.State {
	case order.Cancelled:
		state = strconv.Itoa(int(order.Cancelled))
	case order.Paid, order.Shipped, order.ShipFailed:
		// Redis holds no states beyond PAID.
		state = strconv.Itoa(int(order.Paid))
	case order.Pending:
	}
	unpaid := s.keys.Unpaid()
	reply, err := s.exec(ctx, s.scripts.confirm, []string{s.keys.Epoch(), s.keys.Order(id), unpaid[0], unpaid[1], unpaid[2]},
		[]string{strconv.FormatInt(epoch, 10), state, st.Reason.Encode(), strconv.FormatInt(st.At.UnixMilli(), 10), string(id)})
	if err != nil {
		return err
	}
	switch reply[0] {
	case "OK", "MISSING":
		return nil
	}
	if err := s.refused(reply); !errors.Is(err, errEpoch) {
		return err
	}
	return nil
}
