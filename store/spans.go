package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/spillway/spillway/tracing"
)

// openPool opens the connector with a span for each statement and commit whose context has a sampled trace. The spans have neither the text of the
// statement, which is as long as its rows are many, nor its arguments, nor the texts of errors, in which MySQL quotes arguments.
// otelsql's own metrics are recorded nowhere: package workers measures what is written.
func openPool(connector driver.Connector, dialectName string) *sql.DB {
	system := semconv.DBSystemNameMySQL
	if dialectName == dialect.SQLite {
		system = semconv.DBSystemNameSQLite
	}
	return otelsql.OpenDB(connector,
		otelsql.WithTracerProvider(quietProvider{}),
		otelsql.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelsql.WithAttributes(system),
		otelsql.WithSpanNameFormatter(spanName),
		otelsql.WithAttributesGetter(statementAttributes),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			DisableErrSkip: true, DisableQuery: true,
			OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, OmitConnectorConnect: true,
			SpanFilter: isSpanned,
		}),
	)
}

var spannedMethods = []otelsql.Method{
	otelsql.MethodConnExec, otelsql.MethodConnQuery, otelsql.MethodStmtExec, otelsql.MethodStmtQuery, otelsql.MethodTxCommit,
}

// isSpanned selects statements and commits of sampled traces.
func isSpanned(ctx context.Context, method otelsql.Method, _ string, _ []driver.NamedValue) bool {
	return slices.Contains(spannedMethods, method) && tracing.On(ctx)
}

func spanName(_ context.Context, method otelsql.Method, query string) string {
	if method == otelsql.MethodTxCommit {
		return "COMMIT"
	}
	verb, table := target(query)
	return strings.TrimSpace(verb + " " + table)
}

func statementAttributes(_ context.Context, method otelsql.Method, query string, args []driver.NamedValue) []attribute.KeyValue {
	if method == otelsql.MethodTxCommit {
		return []attribute.KeyValue{semconv.DBOperationName("COMMIT")}
	}
	verb, table := target(query)
	out := []attribute.KeyValue{semconv.DBOperationName(verb), semconv.DBQuerySummary(strings.TrimSpace(verb + " " + table))}
	if table != "" {
		out = append(out, semconv.DBCollectionName(table))
	}
	if n := rowsOf(query, len(args)); n > 1 {
		out = append(out, tracing.SQLRowsKey.Int(n))
	}
	return out
}

// target returns the verb of a statement and the first table that it names.
func target(query string) (verb, table string) {
	const maxWords = 64 // The columns of a SELECT are before its table.
	words := strings.Fields(query[:min(len(query), maxWords*maxIdentifierBytes)])
	if len(words) == 0 {
		return "", ""
	}
	verb = strings.ToUpper(words[0])
	for i, word := range words[:len(words)-1] {
		switch strings.ToUpper(word) {
		case "FROM", "INTO", "UPDATE":
			name, _, _ := strings.Cut(words[i+1], "(")
			name = strings.Trim(name, "`\",;")
			return verb, name[:min(len(name), maxIdentifierBytes)]
		}
	}
	return verb, ""
}

// maxIdentifierBytes is the longest name of a table in MySQL.
const maxIdentifierBytes = 64

// rowsOf returns how many rows an INSERT has, or how many ids a statement names in its longest list; 0 if it has neither. A list of states is none
// of ids.
func rowsOf(query string, args int) int {
	if _, values, ok := strings.Cut(query, "VALUES"); ok && strings.HasPrefix(query, "INSERT") {
		row, _, _ := strings.Cut(values, ")")
		if n := strings.Count(row, "?"); n > 0 {
			return args / n
		}
	}
	most := 0
	for before, rest, found := strings.Cut(query, " IN ("); found; before, rest, found = strings.Cut(rest, " IN (") {
		if list, _, _ := strings.Cut(rest, ")"); !strings.HasSuffix(strings.TrimRight(before, "`\""), "state") {
			most = max(most, strings.Count(list, "?"))
		}
	}
	return most
}

// quietProvider is the global tracer provider, with spans that record the class of an error in place of its text.
type quietProvider struct{ embedded.TracerProvider }

// Tracer implements trace.TracerProvider.
func (quietProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return quietTracer{name: name, opts: opts}
}

// quietTracer looks the provider up for each span: pools may be opened before the provider is set.
type quietTracer struct {
	embedded.Tracer
	name string
	opts []trace.TracerOption
}

// Start implements trace.Tracer.
func (t quietTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := otel.Tracer(t.name, t.opts...).Start(ctx, name, opts...) //nolint:spancheck // The caller ends it.
	return ctx, quietSpan{Span: span}                                     //nolint:spancheck // The caller ends it.
}

type quietSpan struct{ trace.Span }

// RecordError implements trace.Span.
func (s quietSpan) RecordError(err error, _ ...trace.EventOption) {
	tracing.Record(s.Span, translate(err))
}
