package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// defaultRetry is the hint where an error that may pass does not say when.
const defaultRetry = time.Second

// codes says which answer has which code. The first that matches counts: an unknown outcome of a part that is away is
// unavailable.
var codes = []struct {
	err  error
	code connect.Code
}{
	{order.ErrKeyReused, connect.CodeAlreadyExists},
	{order.ErrAlreadyExists, connect.CodeAlreadyExists},
	{order.ErrOverloaded, connect.CodeResourceExhausted},
	{errSlow, connect.CodeAborted},
	// Known to have done nothing, which unavailable leaves open: gateway.Shipments tells the two apart by this code.
	{order.ErrRejected, connect.CodeAborted},
	{order.ErrUnavailable, connect.CodeUnavailable},
	{order.ErrUnknownOutcome, connect.CodeUnavailable},
	{order.ErrInvalid, connect.CodeInvalidArgument},
	{order.ErrNotFound, connect.CodeNotFound},
	{order.ErrFailedPrecondition, connect.CodeFailedPrecondition},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
	{context.Canceled, connect.CodeCanceled},
}

// edge is the one place where errors become Connect's. What it does not know goes out as `internal` without its text, which
// is logged under an id that the caller is given.
func edge(log *slog.Logger) connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				resp, err := next(ctx, req)
				if err == nil {
					return resp, nil
				}
				return nil, translate(ctx, log, req.Spec().Procedure, err)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				err := next(ctx, conn)
				if err == nil {
					return nil
				}
				return translate(ctx, log, conn.Spec().Procedure, err)
			}
		},
	}
}

func translate(ctx context.Context, log *slog.Logger, procedure string, err error) error {
	var limit *order.LimitError
	var sold *order.SoldOutError
	var declined *order.DeclinedError
	var price *order.PriceChangedError
	var rates *order.RatesTooOldError
	var ce *connect.Error
	switch {
	case errors.As(err, &ce) && !connect.IsWireError(err):
		// It was made on purpose here. One that another service answered is an error like any other: its text and its headers
		// are between the two of us.
		return ce
	case errors.As(err, &limit):
		return limitExceeded(limit)
	case errors.As(err, &sold):
		return with(connect.NewError(connect.CodeFailedPrecondition, err), soldOut(sold))
	case errors.As(err, &declined):
		return with(connect.NewError(connect.CodeFailedPrecondition, err), paymentDeclined(declined))
	case errors.As(err, &price):
		return with(connect.NewError(connect.CodeFailedPrecondition, err),
			&spillwayv1.PriceChanged{Expected: wire.Money(price.Expected), Actual: wire.Money(price.Actual)})
	case errors.As(err, &rates):
		return ratesTooOld(rates)
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		// The caller hears of its own end, also where that made a dependency look slow.
		err = ended
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return coded(ctx, log, procedure, c.code, withoutClass(err, c.err))
		}
	}
	id := rand.Text()
	log.ErrorContext(ctx, "an RPC failed", "procedure", procedure, "error_id", id, "error", err)
	return connect.NewError(connect.CodeInternal, errors.New("internal error "+id+"; the log says more"))
}

// coded makes an error of a known code. Those that may pass carry when to try again; the cause of a part that is away or slow
// stays in the log, because it may name hosts.
func coded(ctx context.Context, log *slog.Logger, procedure string, code connect.Code, err error) error {
	switch code {
	case connect.CodeCanceled, connect.CodeDeadlineExceeded:
		log.DebugContext(ctx, "an RPC ran out of time, or its caller left", "procedure", procedure, "error", err)
		return connect.NewError(code, errors.New("the call ended before its work did"))
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeAborted:
	default:
		return connect.NewError(code, err)
	}
	after := defaultRetry
	var retry *order.RetryError
	if errors.As(err, &retry) {
		after = retry.After
	}
	text := err
	if code == connect.CodeUnavailable {
		// Every caller is told, and whoever found the part away has said so: a line a request would flood the log just then.
		log.DebugContext(ctx, "an RPC found a part unavailable", "procedure", procedure, "error", err)
		text = errors.New("temporarily unavailable; send the same request again, with the same idempotency key if it has one")
	}
	return retryAfter(connect.NewError(code, text), after)
}

// retryAfter says when to send the request again.
func retryAfter(ce *connect.Error, after time.Duration) error {
	ce.Meta().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	return with(ce, &spillwayv1.RetryInfo{RetryDelay: durationpb.New(after)})
}

// ratesRetry is when to try again without fresh rates: they are looked for once a minute.
const ratesRetry = time.Minute

func ratesTooOld(e *order.RatesTooOldError) error {
	ce := connect.NewError(connect.CodeUnavailable, e)
	_ = with(ce, &spillwayv1.RatesTooOld{RateDate: e.Date, MaxAge: durationpb.New(e.MaxAge)})
	return retryAfter(ce, ratesRetry)
}

// limitExceeded names the limit, and says when to try again if that helps.
func limitExceeded(e *order.LimitError) error {
	detail := &spillwayv1.LimitExceeded{Limit: string(e.Limit), Maximum: e.Maximum, Sku: string(e.SKU)}
	if e.After > 0 {
		detail.RetryDelay = durationpb.New(e.After)
	}
	if !errors.Is(e, order.ErrOverloaded) {
		return with(connect.NewError(connect.CodeFailedPrecondition, e), detail)
	}
	ce := connect.NewError(connect.CodeResourceExhausted, e)
	_ = with(ce, detail)
	return retryAfter(ce, e.After)
}

func soldOut(e *order.SoldOutError) *spillwayv1.SoldOut {
	out := &spillwayv1.SoldOut{}
	for _, s := range e.Shortages {
		out.Items = append(out.Items, &spillwayv1.SoldOutItem{Sku: string(s.SKU), Requested: s.Requested, Available: s.Available})
	}
	return out
}

func paymentDeclined(e *order.DeclinedError) *spillwayv1.PaymentDeclined {
	out := &spillwayv1.PaymentDeclined{OrderId: string(e.OrderID), DeclineCode: e.Code}
	if !e.PayUntil.IsZero() {
		out.ExpireTime = timestamppb.New(e.PayUntil)
	}
	return out
}

func with(ce *connect.Error, detail proto.Message) error {
	if d, err := connect.NewErrorDetail(detail); err == nil {
		ce.AddDetail(d)
	}
	return ce
}
