package redisconn

import (
	"context"
	"strings"

	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/tracing"
)

const scope = "github.com/spillway/spillway/redisconn"

// pipelineSpan is the name of the span of several commands that are sent at once.
const pipelineSpan = "PIPELINE"

// tracedClient makes a span of each command, and of each pipeline, whose context has a sampled trace. Without one a command costs a look at its
// context: rueidisotel would begin a span in any case. A span has the name of the command and none of its arguments.
type tracedClient struct {
	rueidis.Client
}

// Do sends one command.
func (c tracedClient) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	if !spanned(ctx) {
		return c.Client.Do(ctx, cmd)
	}
	ctx, span := startCommand(ctx, nameOf(cmd), 1)
	r := c.Client.Do(ctx, cmd)
	tracing.End(span, failure(r.Error()))
	return r
}

// DoMulti sends a pipeline.
func (c tracedClient) DoMulti(ctx context.Context, cmds ...rueidis.Completed) []rueidis.RedisResult {
	if len(cmds) == 0 || !spanned(ctx) {
		return c.Client.DoMulti(ctx, cmds...)
	}
	ctx, span := startCommand(ctx, pipelineName(cmds), len(cmds))
	replies := c.Client.DoMulti(ctx, cmds...)
	var err error
	for _, r := range replies {
		if err = failure(r.Error()); err != nil {
			break
		}
	}
	tracing.End(span, err)
	return replies
}

// spanned reports whether the commands of the context get spans. Those of a script with a span of its own do not.
func spanned(ctx context.Context) bool { return tracing.On(ctx) && !tracing.IsWithinScript(ctx) }

func startCommand(ctx context.Context, name string, commands int) (context.Context, trace.Span) {
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(semconv.DBSystemNameRedis, semconv.DBOperationName(name)),
	}
	if commands > 1 {
		opts = append(opts, trace.WithAttributes(semconv.DBOperationBatchSize(commands)))
	}
	return otel.Tracer(scope).Start(ctx, name, opts...) //nolint:spancheck // The caller ends it.
}

// nameOf returns the name of a command. It is called before the command is sent, after which rueidis uses its memory again.
func nameOf(cmd rueidis.Completed) string { return strings.Clone(cmd.Commands()[0]) }

// pipelineName is PIPELINE, followed by the name of the commands if it is one.
func pipelineName(cmds []rueidis.Completed) string {
	name := cmds[0].Commands()[0]
	for _, cmd := range cmds[1:] {
		if cmd.Commands()[0] != name {
			return pipelineSpan
		}
	}
	if len(cmds) == 1 {
		return strings.Clone(name)
	}
	return pipelineSpan + " " + name
}

// failure returns err unless it is the reply that there is nothing, or that a script is not loaded yet: it is sent in full then.
func failure(err error) error {
	if reply, ok := rueidis.IsRedisErr(err); rueidis.IsRedisNil(err) || ok && reply.IsNoScript() {
		return nil
	}
	return err
}
