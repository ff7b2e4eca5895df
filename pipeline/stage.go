package pipeline

import (
	"slices"

	"github.com/spillway/spillway/breaker"
)

// Stage is a stage of an order's path, or a worker that repairs what a stage left undone.
type Stage string

// The stages.
const (
	Accept  Stage = "accept"
	Reserve Stage = "reserve"
	Charge  Stage = "charge"
	Settle  Stage = "settle"

	Flush   Stage = "flush"
	Relay   Stage = "relay"
	Write   Stage = "write"
	Ship    Stage = "ship"
	Confirm Stage = "confirm"
	Mail    Stage = "mail"

	Reconcile  Stage = "reconcile"
	Cancel     Stage = "cancel"
	Refund     Stage = "refund"
	Rescue     Stage = "rescue"
	Repair     Stage = "repair"
	Lost       Stage = "lost"
	DeadLetter Stage = "dead-letter"
)

// definition is which metrics and breakers belong to a stage.
type definition struct {
	stage Stage
	// worker is the attribute worker of its metrics; empty for a stage of the API.
	worker string
	// step is the attribute step of the metrics of checkouts.
	step string
	// batch is the attribute batch of spillway.batch.size; without it, an iteration is a batch.
	batch string
	// age is the attribute at of spillway.order.age.
	age string
	// breakers are those of the dependencies that the stage calls.
	breakers []string
}

// definitions has all stages, in the order of an order's path.
var definitions = []definition{
	{stage: Accept, step: "place_order"},
	{stage: Reserve, step: "reserve", breakers: []string{breaker.Redis}},
	{stage: Charge, step: "charge", breakers: []string{breaker.Charges}},
	{stage: Settle, step: "settle", breakers: []string{breaker.Redis}},

	{stage: Flush, worker: "stock-flusher", batch: "flush", breakers: []string{breaker.Journal, breaker.SQL}},
	{stage: Relay, worker: "order-relay", breakers: []string{breaker.Journal, breaker.Queue}},
	{stage: Write, worker: "order-writer", batch: "write", age: "durable", breakers: []string{breaker.QueueReceive, breaker.SQL}},
	{stage: Ship, worker: "shipper", batch: "ship", age: "shipped", breakers: []string{breaker.QueueReceive, breaker.SQL, breaker.Handover}},
	{stage: Confirm, worker: "mailer", breakers: []string{breaker.QueueReceive, breaker.Mail}},
	{stage: Mail, worker: "mail-dispatcher", breakers: []string{breaker.SQL, breaker.Mail}},

	{stage: Reconcile, worker: "payment-reconciler", breakers: []string{breaker.SQL, breaker.Payment, breaker.Ledger, breaker.Redis}},
	{stage: Cancel, worker: "cancellation-finisher", breakers: []string{breaker.SQL, breaker.Payment, breaker.Redis}},
	{stage: Refund, worker: "refund-retrier", breakers: []string{breaker.SQL, breaker.Refund}},
	{stage: Rescue, worker: "ship-rescuer", breakers: []string{breaker.SQL, breaker.Handover}},
	{stage: Repair, worker: "order-repairer", breakers: []string{breaker.SQL, breaker.Redis}},
	{stage: Lost, worker: "lost-orders", breakers: []string{breaker.SQL, breaker.Redis}},
	{stage: DeadLetter, worker: "dead-letter-drain", breakers: []string{breaker.QueueReceive, breaker.SQL}},
}

// Stages returns all stages, in the order of an order's path.
func Stages() []Stage {
	out := make([]Stage, len(definitions))
	for i, d := range definitions {
		out[i] = d.stage
	}
	return out
}

// StagesOf returns the stages of a process with these workers, and those of the API if it serves it.
func StagesOf(workers []string, serves bool) []Stage {
	var out []Stage
	for _, d := range definitions {
		if d.worker == "" && serves || slices.Contains(workers, d.worker) && d.worker != "" {
			out = append(out, d.stage)
		}
	}
	return out
}
