package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/requestid"
)

// scope names the logger of exported lines.
const scope = "github.com/spillway/spillway/telemetry"

func (t *Telemetry) startLogs(to exporters, about *resource.Resource) {
	if to.logs == nil {
		return
	}
	provider := log.NewLoggerProvider(log.WithProcessor(log.NewBatchProcessor(to.logs)), log.WithResource(about))
	t.exported = requestid.NewLogHandler(otelslog.NewHandler(scope, otelslog.WithLoggerProvider(provider)))
	t.stops = append(t.stops, stopBoth("logs", provider, to.logs))
}

// Log returns the process's logger: lines have the trace and span ids of their contexts, and are exported as well if the variables say so.
func (t *Telemetry) Log() *slog.Logger {
	return slog.New(handler{Handler: t.log.Handler(), exported: t.exported})
}

// handler adds the ids of the span to each record and passes it on to both handlers.
type handler struct {
	slog.Handler
	exported slog.Handler // nil: only logged
}

// Handle logs and exports one record. The exported one has its ids in fields of its own.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	var err error
	if h.exported != nil {
		err = h.exported.Handle(ctx, r.Clone())
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return errors.Join(h.Handler.Handle(ctx, r), err)
}

// WithAttrs adds the attributes to both handlers.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	if h.exported != nil {
		h.exported = h.exported.WithAttrs(attrs)
	}
	return h
}

// WithGroup adds the group to both handlers.
func (h handler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	if h.exported != nil {
		h.exported = h.exported.WithGroup(name)
	}
	return h
}

// exportErrorInterval is the minimum time between two lines about failed exports: one batch may fail every second.
const exportErrorInterval = 30 * time.Second

// errorLog logs what fails inside of OpenTelemetry, to the process's log only: exporting it would fail as well.
type errorLog struct {
	log  *slog.Logger
	last atomic.Int64 // Unix time of the last line, in nanoseconds
	more atomic.Int64 // errors since then
}

func newErrorLog(log *slog.Logger) *errorLog { return &errorLog{log: log} }

// Handle logs the error, unless another was logged within exportErrorInterval.
func (e *errorLog) Handle(err error) {
	now, last := time.Now().UnixNano(), e.last.Load()
	if now-last < int64(exportErrorInterval) || !e.last.CompareAndSwap(last, now) {
		e.more.Add(1)
		return
	}
	e.log.Warn("telemetry is not exported", "error", err, "unlogged", e.more.Swap(0))
}
