package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"
)

const (
	// telemetrySlices is the number of times that serve without and with telemetry take turns. Each pair begins with the one that ended the pair
	// before it, so that a drift of the machine meets both.
	telemetrySlices = 4
	// exportInterval is the time between two exports of metrics, in milliseconds: more often than in production, so that each slice has some.
	exportInterval = "1000"
	// exportWait is longer than the time after which the last spans of a load are exported.
	exportWait = 10 * time.Second
)

// runTelemetry measures two serve processes of one shop by turns: one without telemetry, and one that exports traces, metrics and logs to the
// OTLP sink, with the default sampler, which records every checkout.
func runTelemetry(ctx context.Context, r *run, b *build) (_ []row, err error) {
	collector, err := r.stage.openOTLP(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, collector.child.stop()) }() // After the shop, which exports what is left.
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.meter.process(nameOTLP, collector.child)
	observed, err := s.startObserved(ctx, collector)
	if err != nil {
		return nil, err
	}
	sku, err := s.product(ctx, initialStock)
	if err != nil {
		return nil, err
	}
	plain, traced, err := s.byTurns(ctx, observed, oneLine(sku))
	if err != nil {
		return nil, err
	}
	off, on := combined(rowTelemetryOff, s.meter, plain), combined(rowTelemetryOn, s.meter, traced)
	on.RatioToOff = ptr(ratio(on.PerSecond, off.PerSecond))
	if on.SpansPerOrder, err = collector.spansPer(ctx, merge(traced).accepted); err != nil {
		return nil, err
	}
	return []row{off, on}, s.settle(ctx)
}

// startObserved starts a second serve process of the shop, with telemetry.
func (s *shop) startObserved(ctx context.Context, c *otlpServer) (*child, error) {
	stage := s.run.stage
	env := append(s.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.otlp, "OTEL_METRIC_EXPORT_INTERVAL="+exportInterval)
	observed, err := stage.start(ctx, s.build.name+"-serve-observed", s.build.binary, stage.environment(env...), s.build.args(roleServe, s.settings...)...)
	if err != nil {
		return nil, err
	}
	s.observed = observed
	s.meter.process(nameServe, observed)
	return observed, nil
}

// byTurns places the orders at both processes by turns.
func (s *shop) byTurns(ctx context.Context, observed *child, bodies []string) (plain, traced []outcome, err error) {
	l := s.run.load()
	l.length /= telemetrySlices
	for i := range telemetrySlices {
		turn := []*child{s.serve, observed}
		if i%2 == 1 {
			slices.Reverse(turn)
		}
		for _, server := range turn {
			o, err := l.run(ctx, shoppers(server.addr, s.tokens, bodies))
			s.add(o)
			if err != nil {
				return nil, nil, err
			}
			if server == observed {
				traced = append(traced, o)
			} else {
				plain = append(plain, o)
			}
		}
		l.warmUp = sliceWarmUp
	}
	return plain, traced, nil
}

// otlpServer is the OTLP sink in its process.
type otlpServer struct {
	child *child
	otlp  string // HOST:PORT
}

// openOTLP starts the sink.
func (s *stage) openOTLP(ctx context.Context) (*otlpServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := s.start(ctx, "otlp", self, s.environment(), "otlp", "--otlp", addr)
	return &otlpServer{child: c, otlp: addr}, err
}

// spansPer returns the number of spans for each of the orders that came within exportWait, when no more come. Spans that the exporter dropped
// because it was behind are missing.
func (c *otlpServer) spansPer(ctx context.Context, orders int) (*float64, error) {
	var last int64
	err := poll(ctx, exportWait+startTimeout, func() (time.Duration, error) {
		n, err := c.count(ctx)
		if err != nil || n.Spans == last {
			return 0, err
		}
		last = n.Spans
		return exportWait, nil
	})
	return ptr(ratio(float64(last), float64(orders))), err
}

// count returns what the sink has received.
func (c *otlpServer) count(ctx context.Context) (n otlpCount, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.child.addr+"/count", http.NoBody)
	if err != nil {
		return n, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return n, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&n)
	return n, err
}
