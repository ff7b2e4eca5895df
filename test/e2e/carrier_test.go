package e2e

import "testing"

// TestCarrier_Outages: orders are taken and paid whatever the carrier does, and paid ones can be cancelled. Each order has one parcel in the end, also if
// the carrier took it without a response, and a cancelled one has none.
func TestCarrier_Outages(t *testing.T) {
	t.Parallel() // It waits most of the time.
	for name, modes := range map[string][]string{
		"slow": {"carrier slow"}, "down": {"carrier down"}, "silent": {"carrier silent"}, "unanswered": {"carrier late"},
		"flapping": {"carrier down", "carrier ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openOutage(t)
			stop, stopCancelling := o.bystanders(), o.cancelPaid()
			o.during(modes...)
			stop()
			stopCancelling()
			o.takesOrders()
			o.verify()
			if state := o.breakers()["handover"]; state != "closed" {
				t.Errorf("the breaker of the handover is %s", state)
			}
		})
	}
}

// takesOrders checks that every order with a card was paid during the outage.
func (o *outage) takesOrders() {
	o.t.Helper()
	got := o.outcomes()
	if got["PAID"] == 0 || len(got) > 1 {
		o.t.Errorf("the responses to orders with a card: %v; want PAID", got)
	}
}
