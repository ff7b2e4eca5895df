package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// embedded is a `spillway all` on embedded storage.
type embedded struct {
	run    *run
	build  *build
	dir    string // of its data
	key    string
	server *child
}

// openEmbedded prepares an empty data directory.
func (r *run) openEmbedded(b *build) (*embedded, error) {
	dir, err := os.MkdirTemp(r.stage.dir, "embedded-")
	return &embedded{run: r, build: b, dir: dir, key: rand.Text() + rand.Text()}, err
}

// args starts all, with its mails to the SMTP sink: mail files would be the larger half of the measurement.
func (e *embedded) args() []string {
	return e.build.args(roleAll, append(
		e.run.stage.sink.settings(),
		"data-dir="+e.dir,
		"admin=127.0.0.1:0",
		"customer-orders=0",
		"customer-reads=1000000000",
		"customer-writes=1000000000",
		"mail-recipient-limit=1000000000",
		"units-window=0s",
		"drain-timeout=5s",
	)...)
}

func (e *embedded) environment() []string { return []string{"SPILLWAY_AUTH_KEY=" + e.key} }

// runEmbedded measures everything in one process on embedded storage, which means durability sql.
func runEmbedded(ctx context.Context, r *run, b *build) (_ []row, err error) {
	e, err := r.openEmbedded(b)
	if err != nil {
		return nil, err
	}
	e.server, err = r.stage.start(ctx, b.name+"-embedded", b.binary, r.stage.environment(e.environment()...), e.args()...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.server.stop()) }()
	tokens, err := guests(e.key)
	if err != nil {
		return nil, err
	}
	sku, err := e.product(ctx)
	if err != nil {
		return nil, err
	}
	before, err := r.stage.sink.count(ctx)
	if err != nil {
		return nil, err
	}
	m := r.newMeter()
	defer m.close()
	m.process(nameServe, e.server)
	o, err := r.load().run(ctx, shoppers(e.server.addr, tokens, oneLine(sku)))
	if err != nil {
		return nil, err
	}
	line := measured(rowEmbedded, o).withCPU(m, o)
	line.Mail, line.MailsPerSecond = b.mailMode(), ptr(m.mails(o.from, o.to))
	return []row{line}, e.settle(ctx, sku, o, before.Mails)
}

// product creates the product that is sold.
func (e *embedded) product(ctx context.Context) (string, error) {
	token, err := operatorToken(e.key)
	if err != nil {
		return "", err
	}
	sku := newSKU()
	err = createProduct(ctx, e.server.addr, token, sku, initialStock)
	return sku, err
}

// settle waits until both mails of each order have come, compares the stock, and audits the data.
func (e *embedded) settle(ctx context.Context, sku string, o outcome, mailsBefore int) error {
	b := totals{InitialStock: initialStock, Accepted: o.accepted, Unknown: o.unknown()}
	err := poll(ctx, e.run.cmd.DrainWait, func() (time.Duration, error) {
		n, err := e.run.stage.sink.count(ctx)
		if err != nil {
			return 0, err
		}
		b.Shipped = (n.Mails - mailsBefore) / mailsPerOrder
		b.Units = b.Shipped
		if b.StockLeft, err = available(ctx, e.server.addr, sku); err != nil {
			return 0, err
		}
		if b.Close = b.consistent(); b.Close {
			return 0, nil
		}
		return settlePoll, nil
	})
	if !b.Close {
		return errors.Join(errInconsistent, errors.New(b.String()), err)
	}
	args := e.build.args(roleAudit, "drained", "wait="+auditWait.String(), "data-dir="+e.dir)
	stage := e.run.stage
	if err := stage.command(ctx, auditWait+commandTimeout, stage.dir, e.environment(), e.build.binary, args...); err != nil {
		return err
	}
	b.Audits = 1
	e.run.totals.add(b)
	return nil
}

// available returns how many units of the product can be bought.
func available(ctx context.Context, addr, sku string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	p, err := spillwayv1connect.NewCatalogServiceClient(http.DefaultClient, "http://"+addr).GetProduct(ctx, &spillwayv1.GetProductRequest{Sku: sku})
	if err != nil {
		return 0, err
	}
	return int(p.GetProduct().GetAvailable()), nil
}
