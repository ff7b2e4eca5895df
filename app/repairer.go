package app

import (
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// newRepairer makes the worker that does what a lost message left undone. It writes orders as the order writer does.
func newRepairer(deps *dependencies, a *api, c Config) *workers.OrderRepairer {
	cfg := workers.DefaultRepairConfig()
	cfg.Partition, cfg.After, cfg.MailAfter = partition, c.Orders.RepairAfter, 2*c.Orders.RepairAfter
	orders, dead, cancel := store.NewOrders(deps.db), store.NewDeadLetters(deps.db), workers.NewDuplicateCanceller(deps.stock, a.payments)
	return workers.NewOrderRepairer(cfg, workers.RepairParts{
		Stock: store.NewStock(deps.db), Orders: orders, DeadLetters: dead, Mails: store.NewMails(deps.db), Cache: deps.stock, Cancel: cancel,
		Payments: a.payments, Log: deps.log,
		Writer: workers.NewOrderWriter(c.Drain.writer(), nil, orders, dead, deps.stock, cancel, deps.log),
	})
}
