package mail

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/spillway/spillway/order"
)

// TestMetrics_MailsByKindAndReason: mails that were sent before and mails that are twice in a batch are counted once.
func TestMetrics_MailsByKindAndReason(t *testing.T) {
	reader, before := metric.NewManualReader(), otel.GetMeterProvider()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	m, err := NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	sender := &fakeSender{fails: map[string]error{}}
	s := newService(t, sender).WithMetrics(m)
	sent, refund := newPaidOrder(t), order.Money{Currency: "EUR", Amount: 5}
	mails := []order.Mail{
		{Kind: order.MailConfirmation, Order: sent},
		{Kind: order.MailConfirmation, Order: sent},
		{Kind: order.RefundMail(string(order.NewID(0, time.Now()))), Order: sent, Refund: refund},
		{Kind: order.RefundMail(string(order.NewID(0, time.Now()))), Order: sent, Refund: refund},
		{Kind: "newsletter", Order: sent},
	}
	for _, err := range []error{order.ErrNotSent, order.ErrOverloaded, order.ErrInvalid, errors.New("452")} {
		o := newPaidOrder(t)
		sender.fails[string(o.ID)+".shipped"] = err
		mails = append(mails, order.Mail{Kind: order.MailShipped, Order: o})
	}
	for range 2 {
		if _, err := s.SendMails(t.Context(), mails); err != nil {
			t.Fatal(err)
		}
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, scope := range got.ScopeMetrics {
		for _, metric := range scope.Metrics {
			sum, _ := metric.Data.(metricdata.Sum[int64])
			for _, p := range sum.DataPoints {
				kind, _ := p.Attributes.Value("kind")
				reason, _ := p.Attributes.Value("reason")
				counts[fmt.Sprint(metric.Name, " ", kind.AsString(), " ", reason.AsString())] = p.Value
			}
		}
	}
	want := map[string]int64{
		"spillway.mail.sent confirmation ": 1, "spillway.mail.sent refund ": 2, "spillway.mail.failed other refused": 2,
		"spillway.mail.failed shipped unavailable": 2, "spillway.mail.failed shipped not_tried": 2,
		"spillway.mail.failed shipped refused": 2, "spillway.mail.failed shipped failed": 2,
	}
	if !maps.Equal(counts, want) {
		t.Errorf("counted %v; want %v", counts, want)
	}
}
