package workers

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// isMail reports whether the dead letters of the source are replayed as mails. All others are replayed into the orders' rows; the ship
// rescuer ships the orders of the shipper's dead letters from there.
func isMail(source string) bool { return source == store.MailerSource || source == sourceBroker+"mail" }

// events writes the events of a dead letter as the order writer does.
func (r *Replayer) events(ctx context.Context, l store.DeadLetter) error {
	changes, err := r.changesOf(ctx, l)
	if err != nil {
		return err
	}
	if err := r.write(ctx, changes); err != nil {
		return err
	}
	if err := r.Hot.Expire(ctx, reached(changes)); err != nil {
		r.Log.WarnContext(ctx, "failed to set the TTL of hot orders; the order repairer sets it", "dead_letter", l.ID, "error", err)
	}
	return nil
}

// changesOf reads the events of a dead letter.
func (r *Replayer) changesOf(ctx context.Context, l store.DeadLetter) ([]order.Event, error) {
	batch := &spillwayv1.OrderEventBatch{}
	switch l.PayloadType {
	case wire.TypeBatch:
		read, err := wire.UnmarshalBatch(l.Payload)
		if err != nil {
			return nil, err
		}
		batch = read
	case wire.TypeEvent:
		var e spillwayv1.OrderEvent
		if err := proto.Unmarshal(l.Payload, &e); err != nil {
			return nil, fmt.Errorf("unmarshal an event: %w", err)
		}
		batch.Events = append(batch.Events, &e)
	case wire.TypeSnapshot:
		o, err := wire.UnmarshalSnapshot(l.Payload)
		return []order.Event{{Order: o, To: o.State, At: o.UpdatedAt, Reason: o.CancelReason}}, err
	default:
		return nil, fmt.Errorf("a dead letter of %s with a payload of type %q cannot be replayed", l.Source, l.PayloadType)
	}
	if err := r.Snapshots.completeEvents(ctx, batch.GetEvents()); err != nil {
		return nil, err
	}
	out := make([]order.Event, len(batch.GetEvents()))
	for i, e := range batch.GetEvents() {
		c, err := wire.FromEvent(e)
		if err != nil {
			return nil, fmt.Errorf("events[%d]: %w", i, err)
		}
		out[i] = c
	}
	return out, nil
}

// write applies the changes in one transaction. If SQL cannot take one of them, it writes each half by itself, so that only that one fails.
func (r *Replayer) write(ctx context.Context, changes []order.Event) error {
	out, err := r.Orders.Apply(ctx, changes)
	switch {
	case err == nil:
		return r.cancelDuplicates(ctx, out)
	case !store.IsRowError(err) || len(changes) == 1:
		return err
	}
	half := len(changes) / 2
	return errors.Join(r.write(ctx, changes[:half]), r.write(ctx, changes[half:]))
}

// cancelDuplicates cancels orders with the idempotency key of another order. A refused state keeps the dead letter open, for an
// operator to decide.
func (r *Replayer) cancelDuplicates(ctx context.Context, out store.Outcome) error {
	var errs []error
	cancelled := make(map[order.ID]bool)
	for _, d := range out.Duplicates {
		cancelled[d.ID] = true
		errs = append(errs, r.Cancel.CancelDuplicate(ctx, d.ID, d.Of))
	}
	for _, refused := range out.Refused {
		if !cancelled[refused.ID] {
			errs = append(errs, fmt.Errorf("order %s is %s and cannot become %s", refused.ID, refused.From, refused.To))
		}
	}
	return errors.Join(errs...)
}

// mails sends the mails of a dead letter. Mails that were sent before are not sent again.
func (r *Replayer) mails(ctx context.Context, l store.DeadLetter) error {
	mails, err := r.mailsOf(ctx, l)
	if err != nil {
		return err
	}
	if len(mails) == 0 {
		return nil
	}
	return errors.Join(r.Mail.Send(ctx, mails)...)
}

// mailsOf returns the mails of a dead letter: those that its events cause, or the one that it holds.
func (r *Replayer) mailsOf(ctx context.Context, l store.DeadLetter) ([]order.Mail, error) {
	if wire.IsMail(l.PayloadType) {
		m, err := wire.UnmarshalMail(l.PayloadType, l.Payload)
		return []order.Mail{m}, err
	}
	changes, err := r.changesOf(ctx, l)
	if err != nil {
		return nil, err
	}
	var out []order.Mail
	for _, m := range confirmations(changes, make(map[order.ID]bool)) {
		out = append(out, m.Mail)
	}
	return out, nil
}
