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
			o.during([]string{"PAID"}, modes...)
			stop()
			stopCancelling()
			o.mostlyPaid()
			o.verify()
			if state := o.breakers()["handover"]; state != "closed" {
				t.Errorf("the breaker of the handover is %s", state)
			}
		})
	}
}
