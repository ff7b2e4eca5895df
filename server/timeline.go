package server

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// OrderFacts reads what SQL has about an order beside its row and the ledger.
type OrderFacts interface {
	OrderFacts(ctx context.Context, id order.ID) (store.OrderFacts, error)
}

// GetOrderTimeline returns the steps of an order.
func (s Orders) GetOrderTimeline(ctx context.Context, req *spillwayv1.GetOrderTimelineRequest) (*spillwayv1.GetOrderTimelineResponse, error) {
	o, err := s.Reader.Read(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	paid, err := readPayment(ctx, s.Ledger, o.ID)
	if err != nil {
		return nil, err
	}
	facts, err := s.Facts.OrderFacts(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	t := timeline{order: o, paid: paid, facts: facts}
	return &spillwayv1.GetOrderTimelineResponse{
		Order: wire.Order(o), Payment: paid.message(ctx, o.CustomerID), Refunds: paid.refundMessages(ctx), WaitingFor: paid.waitingFor(o), Steps: t.messages(),
		TraceId: wire.TraceID(o.Trace),
	}, nil
}

// orderStep is a step of a timeline; its time is zero if it is not recorded.
type orderStep struct {
	kind       spillwayv1.OrderStepKind
	state      spillwayv1.OrderStepState
	at         time.Time
	detail     string
	attempts   int
	deadLetter int64
	place      time.Time
}

const (
	timelineDone    = spillwayv1.OrderStepState_ORDER_STEP_STATE_DONE
	timelineWaiting = spillwayv1.OrderStepState_ORDER_STEP_STATE_WAITING
	timelineFailed  = spillwayv1.OrderStepState_ORDER_STEP_STATE_FAILED
)

// timeline makes the steps of an order of the rows that have them.
type timeline struct {
	order order.Order
	paid  orderPayment
	facts store.OrderFacts
	steps []orderStep
	// chain is how many of the steps, from the first on, depend each on the one before it.
	chain int
}

// messages are the steps in the order of their times. A step without a time follows the one that it depends on, and so does one with a time
// before that: the clocks of two processes differ.
func (t *timeline) messages() []*spillwayv1.OrderStep {
	t.add(orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_RESERVED, state: timelineDone, at: t.order.CreatedAt})
	t.addCharge()
	t.addSettled()
	t.addShipping()
	t.chain = len(t.steps)
	t.addCancellation()
	t.addRefunds()
	t.addMails()
	t.addDeadLetters()
	t.sort()
	out := make([]*spillwayv1.OrderStep, len(t.steps))
	previous := t.order.CreatedAt
	for i, s := range t.steps {
		out[i] = s.message(t.order.CreatedAt, previous)
		if !s.at.IsZero() {
			previous = s.at
		}
	}
	return out
}

func (t *timeline) add(s orderStep) { t.steps = append(t.steps, s) }

// sort brings the steps into the order of their places: a step's time, but not before that of the step that it depends on.
func (t *timeline) sort() {
	before := t.order.CreatedAt
	for i := range t.steps {
		s := &t.steps[i]
		if i >= t.chain && !s.at.IsZero() {
			before = t.order.CreatedAt
		}
		if s.at.After(before) {
			before = s.at
		}
		s.place = before
	}
	slices.SortStableFunc(t.steps, func(a, b orderStep) int { return a.place.Compare(b.place) })
}

// message has no negative durations: the clocks of two processes differ.
func (s orderStep) message(start, previous time.Time) *spillwayv1.OrderStep {
	m := &spillwayv1.OrderStep{
		Kind: s.kind, State: s.state, Detail: s.detail, DeadLetterId: s.deadLetter,
		Attempts: int32(min(s.attempts, 1<<30)), //nolint:gosec // It is bounded here.
	}
	if !s.at.IsZero() {
		m.Time = timestamppb.New(s.at)
		m.SincePrevious, m.SinceStart = durationpb.New(max(0, s.at.Sub(previous))), durationpb.New(max(0, s.at.Sub(start)))
	}
	return m
}

func (t *timeline) addCharge() {
	c := t.paid.charge
	s := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_CHARGED, state: timelineDone, at: c.UpdatedAt, attempts: max(0, c.Attempt-1)}
	switch {
	case c.State == order.ChargeNone && t.order.State == order.Pending:
		s.state, s.attempts = timelineWaiting, 0
	case c.State == order.ChargeNone || c.State == order.ChargeVoided:
		return
	case c.State == order.ChargePending:
		s.state = timelineWaiting
	case c.State == order.ChargeDeclined:
		s.state, s.detail = timelineFailed, c.DeclineCode
	case c.State != order.ChargeSucceeded:
		s.at = c.CreatedAt // The later time is that of the refund.
	}
	t.add(s)
}

func (t *timeline) addSettled() {
	paid := t.order.State == order.Paid || t.order.State == order.Shipped || t.order.State == order.ShipFailed
	if paid {
		s := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_SETTLED, state: timelineDone}
		if t.order.State == order.Paid {
			s.at = t.order.UpdatedAt
		}
		t.add(s)
	}
	written := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_WRITTEN, state: timelineWaiting}
	if t.facts.Written {
		written.state = timelineDone
	}
	t.add(written)
}

func (t *timeline) addShipping() {
	if !t.facts.ClaimedAt.IsZero() {
		t.add(orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_CLAIMED, state: timelineDone, at: t.facts.ClaimedAt})
	}
	s := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_SHIPPED}
	switch shipped := t.facts.Shipment; {
	case shipped != nil:
		s.state, s.at, s.detail = timelineDone, shipped.ShippedAt, shipped.TrackingID
	case t.order.State == order.ShipFailed:
		s.state, s.at = timelineFailed, t.order.UpdatedAt
	case t.order.State == order.Paid:
		s.state = timelineWaiting
	default:
		return
	}
	t.add(s)
}

func (t *timeline) addCancellation() {
	if t.order.State != order.Cancelled {
		return
	}
	s := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_CANCELLED, state: timelineDone, at: t.order.UpdatedAt, detail: t.order.CancelReason.Text}
	back := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_RESTOCKED, state: timelineDone, at: t.facts.ReturnedAt}
	if c := t.facts.Cancellation; c != nil {
		s.at = c.CreatedAt
		if !c.FinishedAt.IsZero() {
			s.detail += " (finished)"
		} else {
			back.attempts = c.Attempts
		}
		if back.at.IsZero() {
			back.at = c.RestockedAt
		}
	}
	t.add(s)
	if back.at.IsZero() {
		back.state = timelineWaiting
	}
	t.add(back)
}

func (t *timeline) addRefunds() {
	for _, r := range t.paid.refunds {
		t.add(orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_REFUND_REQUESTED, state: timelineDone, at: r.CreatedAt, detail: r.Reason})
		s := orderStep{
			kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_REFUNDED, state: timelineDone, at: r.ConfirmedAt, detail: r.RefundID, attempts: r.Attempts,
		}
		if s.at.IsZero() {
			s.state = timelineWaiting
		}
		t.add(s)
	}
}

func (t *timeline) addMails() {
	for _, m := range t.facts.Mails {
		s := orderStep{kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_MAILED, state: timelineDone, at: m.At, detail: string(m.Kind), attempts: m.Attempts}
		switch {
		case m.Skipped != "":
			s.state, s.detail = timelineFailed, s.detail+": "+string(m.Skipped)
		case !m.Sent:
			s.state = timelineWaiting
		}
		t.add(s)
	}
}

func (t *timeline) addDeadLetters() {
	for _, d := range t.facts.DeadLetters {
		s := orderStep{
			kind: spillwayv1.OrderStepKind_ORDER_STEP_KIND_DEAD_LETTER, state: timelineDone, at: d.CreatedAt, detail: d.Reason, attempts: d.Attempts, deadLetter: d.ID,
		}
		if d.Status == store.DeadLetterOpen {
			s.state = timelineWaiting
		}
		t.add(s)
	}
}
