package order_test

import (
	"slices"
	"testing"

	"github.com/spillway/spillway/order"
)

// TestState_Transitions_HaveTheirShape checks that every state is named, is reachable from the first one, and leads to
// a final one.
func TestState_Transitions_HaveTheirShape(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for i, s := range order.States() {
		if int(s) != i || !s.Valid() || names[s.String()] {
			t.Errorf("state %d is %s", i, s)
		}
		names[s.String()] = true
		if !s.Follows(order.Pending) {
			t.Errorf("no way leads to %s", s)
		}
		if !slices.ContainsFunc(order.States(), func(end order.State) bool { return end.Final() && end.Follows(s) }) {
			t.Errorf("no way leads from %s to an end", s)
		}
		if s.CanBecome(s) {
			t.Errorf("%s follows itself", s)
		}
		for _, next := range order.States() {
			if s.CanBecome(next) != slices.Contains(next.Predecessors(), s) {
				t.Errorf("%s → %s is in one direction of the table only", s, next)
			}
			if s.CanBecome(next) && !next.Valid() {
				t.Errorf("%s leads to the unknown state %s", s, next)
			}
		}
	}
	if bad := order.State(9); bad.Valid() || bad.Final() || bad.String() != "State(9)" || order.Pending.CanBecome(bad) {
		t.Errorf("state 9 is %s", bad)
	}
}

// TestState_CanBecome_OnlyListedSteps repeats the whole table, so that a change of it is deliberate (I7).
func TestState_CanBecome_OnlyListedSteps(t *testing.T) {
	t.Parallel()
	want := map[[2]order.State]bool{
		{order.Pending, order.Paid}: true, {order.Pending, order.Cancelled}: true,
		{order.Paid, order.Shipped}: true, {order.Paid, order.ShipFailed}: true, {order.Paid, order.Cancelled}: true,
		{order.ShipFailed, order.Shipped}: true, {order.ShipFailed, order.Cancelled}: true,
	}
	for _, from := range order.States() {
		for _, to := range order.States() {
			if from.CanBecome(to) != want[[2]order.State{from, to}] {
				t.Errorf("%s → %s is %v", from, to, from.CanBecome(to))
			}
		}
	}
}

func TestState_NumbersAreNoRank(t *testing.T) {
	t.Parallel()
	// Comparing the numbers would allow these steps.
	for _, step := range [][2]order.State{{order.Cancelled, order.Shipped}, {order.Shipped, order.ShipFailed}, {order.Cancelled, order.Paid}} {
		if step[0].CanBecome(step[1]) || step[1].Follows(step[0]) {
			t.Errorf("%s → %s", step[0], step[1])
		}
	}
	if !order.Shipped.Follows(order.Pending) || !order.Cancelled.Follows(order.ShipFailed) || !order.Paid.Follows(order.Paid) {
		t.Error("a later state does not follow an earlier one")
	}
}
