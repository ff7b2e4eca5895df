package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/spillway/spillway/queue"
)

// statusError is an answer of the proxy that is not OK.
type statusError struct {
	code    v2.Code
	message string
}

// Error says what the proxy said.
func (e *statusError) Error() string { return fmt.Sprintf("%s: %s", e.code, e.message) }

// check makes an error of an answer that is not OK.
func check(s *v2.Status) error {
	if s.GetCode() == v2.Code_OK {
		return nil
	}
	return &statusError{code: s.GetCode(), message: s.GetMessage()}
}

// codeOf is the proxy's answer in err, or Code_CODE_UNSPECIFIED.
func codeOf(err error) v2.Code {
	var e *statusError
	if errors.As(err, &e) {
		return e.code
	}
	return v2.Code_CODE_UNSPECIFIED
}

// sentinels are the answers that mean something to users of the port. All others mean ErrUnavailable: a broker that
// comes up, or a proxy that lost touch with it, answers in many ways, and all of them pass.
var sentinels = map[v2.Code]error{
	v2.Code_CONSUMER_GROUP_NOT_FOUND:     queue.ErrUnknownGroup,
	v2.Code_TOO_MANY_REQUESTS:            queue.ErrFull,
	v2.Code_PAYLOAD_TOO_LARGE:            queue.ErrTooLarge,
	v2.Code_MESSAGE_BODY_TOO_LARGE:       queue.ErrTooLarge,
	v2.Code_MESSAGE_PROPERTIES_TOO_LARGE: queue.ErrTooLarge,
	v2.Code_ILLEGAL_TOPIC:                queue.ErrInvalid,
	v2.Code_ILLEGAL_CONSUMER_GROUP:       queue.ErrInvalid,
	v2.Code_ILLEGAL_INVISIBLE_TIME:       queue.ErrInvalid,
	v2.Code_ILLEGAL_POLLING_TIME:         queue.ErrInvalid,
	v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY: queue.ErrInvalid,
	// The topic was created for another type of message.
	v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: queue.ErrInvalid,
}

// groupNotFound is what a proxy says on the session of a group that it does not know, beside a code that means many
// things.
const groupNotFound = "group not found"

func unknownGroup(err error) bool {
	return codeOf(err) == v2.Code_CONSUMER_GROUP_NOT_FOUND ||
		status.Code(err) == codes.InvalidArgument && strings.Contains(err.Error(), groupNotFound)
}

// translate makes an error of a call one of the port's. ctx is the caller's: when it ended, that is the error.
func translate(ctx context.Context, doing string, err error) error {
	if err == nil || errors.Is(err, queue.ErrClosed) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	for _, known := range []error{queue.ErrUnavailable, queue.ErrUnknownGroup} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	if sentinel, ok := sentinels[codeOf(err)]; ok {
		return fmt.Errorf("%s: %w: %w", doing, sentinel, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, detail(err))
}

// detail keeps our own time-outs from looking like the end of the caller's context.
func detail(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errors.New("the proxy did not answer in time")
	}
	if s, ok := status.FromError(err); ok && codeOf(err) == v2.Code_CODE_UNSPECIFIED {
		return fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return err
}
