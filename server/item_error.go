package server

import (
	"context"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// itemError is the error of one item of a batch. A defect, and the end of the call, are errors of the whole call: then it returns the error.
func itemError(ctx context.Context, err error) (*spillwayv1.ItemError, error) {
	if err == nil {
		return nil, nil //nolint:nilnil // The item succeeded.
	}
	f := refusalOf(err)
	if f.code == connect.CodeInternal || ctx.Err() != nil {
		return nil, err
	}
	return &spillwayv1.ItemError{Reason: string(f.reason), Message: f.text, Retryable: f.retry > 0}, nil
}
