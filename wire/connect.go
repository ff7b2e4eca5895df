package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/order"
)

// FromConnect turns the code of a service behind a URL back into the domain's error. What is no Connect error came from a
// service in this process and is the domain's already.
func FromConnect(err error) error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err
	}
	switch ce.Code() { //nolint:exhaustive // The others are failures as they are.
	case connect.CodeInvalidArgument:
		return fmt.Errorf("%w: %w", order.ErrInvalid, err)
	case connect.CodeNotFound:
		return fmt.Errorf("%w: %w", order.ErrNotFound, err)
	case connect.CodeAlreadyExists:
		return fmt.Errorf("%w: %w", order.ErrAlreadyExists, err)
	case connect.CodeFailedPrecondition:
		return fmt.Errorf("%w: %w", order.ErrFailedPrecondition, err)
	case connect.CodeCanceled:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case connect.CodeResourceExhausted:
		return retryLater(ce, fmt.Errorf("%w: %w", order.ErrOverloaded, err))
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return retryLater(ce, fmt.Errorf("%w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err))
	}
	return err
}

// retryMax bounds the wait that a service may ask for.
const retryMax = time.Minute

// retryLater keeps the retry delay of the service, if there is one.
func retryLater(ce *connect.Error, err error) error {
	for _, d := range ce.Details() {
		if m, derr := d.Value(); derr == nil {
			if info, ok := m.(*errdetails.RetryInfo); ok {
				return &order.RetryError{After: min(info.GetRetryDelay().AsDuration(), retryMax), Err: err}
			}
		}
	}
	return err
}
