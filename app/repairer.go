package app

import (
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// newRepairer makes the worker that does what a lost message left undone. It writes orders as the order writer does.
func newRepairer(p *parts, a *api, c Config) *workers.OrderRepairer {
	cfg := workers.DefaultRepairConfig()
	cfg.Partition, cfg.After, cfg.MailAfter = partition, c.Orders.RepairAfter, 2*c.Orders.RepairAfter
	orders, dead, cancel := store.NewOrders(p.db), store.NewDeadLetters(p.db), workers.NewDuplicates(p.stock, a.payments)
	return workers.NewOrderRepairer(cfg, workers.RepairParts{
		Books: store.NewStock(p.db), Orders: orders, Letters: dead, Mails: store.NewMails(p.db), Cache: p.stock, Cancel: cancel, Log: p.log,
		Writer: workers.NewOrderWriter(workers.DefaultWriterConfig(), nil, orders, dead, p.stock, cancel, p.log),
	})
}
