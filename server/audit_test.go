package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/spillway/spillway/audit"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

func TestAudit_ReportIsReturned(t *testing.T) {
	s := NewAudit(func(_ context.Context, o audit.Options) (audit.Report, error) {
		if !o.Drained {
			t.Error("the audit is not told that the shop is drained")
		}
		return audit.Report{
			Rules:      []audit.Result{{Rule: "r", Description: "d", Checked: 3, Violations: 2}},
			Violations: []audit.Violation{{Rule: "r", SKU: "A", Detail: "x"}, {Rule: "r", OrderID: "O", Detail: "y"}}, OrdersInFlight: 4,
			ReadTime: time.Unix(1, 0),
		}, nil
	})
	resp, err := s.RunAudit(t.Context(), &spillwayv1.RunAuditRequest{Drained: true})
	if err != nil {
		t.Fatal(err)
	}
	var want spillwayv1.RunAuditResponse
	err = protojson.Unmarshal([]byte(`{"rules":[{"rule":"r","description":"d","checked":3,"broken":2}],
		"findings":[{"rule":"r","sku":"A","detail":"x"},{"rule":"r","orderId":"O","detail":"y"}],
		"ordersInFlight":4,"readTime":"1970-01-01T00:00:01Z"}`), &want)
	if err != nil || resp.String() != want.String() {
		t.Errorf("answered %v; want %v (%v)", resp, &want, err)
	}
}

// TestAudit_OneAtATime: each reads every order, so that a second one is told to come back.
func TestAudit_OneAtATime(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	s := NewAudit(func(context.Context, audit.Options) (audit.Report, error) {
		close(started)
		<-finish
		return audit.Report{OK: true}, nil
	})
	first := make(chan error, 1)
	go func() {
		_, err := s.RunAudit(t.Context(), &spillwayv1.RunAuditRequest{})
		first <- err
	}()
	await(t, "the first audit", started)
	var retry *order.RetryError
	if _, err := s.RunAudit(t.Context(), &spillwayv1.RunAuditRequest{}); !errors.Is(err, order.ErrOverloaded) || !errors.As(err, &retry) {
		t.Errorf("a second audit: %v; want ErrOverloaded with a time", err)
	}
	close(finish)
	if err := await(t, "the first audit to end", first); err != nil {
		t.Errorf("the first audit: %v", err)
	}
}
