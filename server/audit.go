package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/audit"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

const (
	// maxAudits bounds the audits that one process runs at once: each reads all orders.
	maxAudits = 1
	// auditTimeout bounds an audit, so that its response precedes writeTimeout. Larger shops run `spillway audit`.
	auditTimeout = 25 * time.Second
	// auditRetryDelay is the retry delay while another audit runs.
	auditRetryDelay = 5 * time.Second
)

// Audit is the AuditService.
type Audit struct {
	run    func(ctx context.Context, o audit.Options) (audit.Report, error)
	places chan struct{}
	// books reads balances, one call at a time.
	books      Books
	bookPlaces chan struct{}
	// timeout is auditTimeout.
	timeout time.Duration
}

// NewAudit returns the service; run runs an audit.
func NewAudit(run func(ctx context.Context, o audit.Options) (audit.Report, error)) *Audit {
	return &Audit{run: run, places: make(chan struct{}, maxAudits), bookPlaces: make(chan struct{}, maxAudits), timeout: auditTimeout}
}

// RunAudit checks the invariants on one moment of SQL.
func (s *Audit) RunAudit(ctx context.Context, req *spillwayv1.RunAuditRequest) (*spillwayv1.RunAuditResponse, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return nil, &order.RetryError{After: auditRetryDelay, Err: order.Refuse(order.ErrOverloaded, order.ReasonAuditRunning, "an audit is running")}
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := s.run(bounded, audit.Options{Drained: req.GetDrained()})
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return nil, order.Refuse(order.ErrFailedPrecondition, order.ReasonAuditTooLong, "the audit takes more than %s; run `spillway audit` instead", s.timeout)
	}
	if err != nil {
		return nil, err
	}
	return auditMessage(r), nil
}

func auditMessage(r audit.Report) *spillwayv1.RunAuditResponse {
	out := &spillwayv1.RunAuditResponse{Ok: r.OK, OrdersInFlight: r.OrdersInFlight, ReadTime: timestamppb.New(r.ReadTime)}
	for _, res := range r.Rules {
		out.Rules = append(out.Rules, &spillwayv1.AuditRule{
			Rule: res.Rule, Description: res.Description, Checked: res.Checked, Broken: res.Violations,
		})
	}
	for _, f := range r.Violations {
		out.Findings = append(out.Findings, &spillwayv1.AuditFinding{
			Rule: f.Rule, Sku: string(f.SKU), OrderId: string(f.OrderID), Detail: f.Detail,
		})
	}
	return out
}
