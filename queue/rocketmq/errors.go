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

// statusError is a response of the proxy with a code other than OK.
type statusError struct {
	code    v2.Code
	message string
}

// Error contains the proxy's code and message.
func (e *statusError) Error() string { return fmt.Sprintf("%s: %s", e.code, e.message) }

// check returns an error for a status other than OK.
func check(s *v2.Status) error {
	if s.GetCode() == v2.Code_OK {
		return nil
	}
	return &statusError{code: s.GetCode(), message: s.GetMessage()}
}

// codeOf returns the proxy's code in err, or Code_CODE_UNSPECIFIED.
func codeOf(err error) v2.Code {
	var e *statusError
	if errors.As(err, &e) {
		return e.code
	}
	return v2.Code_CODE_UNSPECIFIED
}

// sentinels maps the codes that have a meaning for users of the port. All others become ErrUnavailable: a starting
// broker, or a proxy that lost its connection to it, returns many codes, all of them transient.
var sentinels = map[v2.Code]error{
	v2.Code_CONSUMER_GROUP_NOT_FOUND:     queue.ErrUnknownGroup,
	v2.Code_UNAUTHORIZED:                 queue.ErrUnauthorized,
	v2.Code_FORBIDDEN:                    queue.ErrUnauthorized,
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

// groupNotFound is the proxy's message on the session of an unknown group; its status code alone is ambiguous.
const groupNotFound = "group not found"

// plainTextClosed is gRPC's message when a proxy that requires TLS closes a connection without it.
const plainTextClosed = "error reading server preface"

func unauthorized(err error) bool { return errors.Is(sentinels[codeOf(err)], queue.ErrUnauthorized) }

func unknownGroup(err error) bool {
	return codeOf(err) == v2.Code_CONSUMER_GROUP_NOT_FOUND ||
		status.Code(err) == codes.InvalidArgument && strings.Contains(err.Error(), groupNotFound)
}

// translate maps an error of a call to one of the port. When the caller's ctx has ended, its error is returned.
func translate(ctx context.Context, doing string, err error) error {
	if err == nil || errors.Is(err, queue.ErrClosed) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	for _, known := range []error{queue.ErrUnavailable, queue.ErrUnknownGroup, queue.ErrUnauthorized} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	if sentinel, ok := sentinels[codeOf(err)]; ok {
		return fmt.Errorf("%s: %w: %w", doing, sentinel, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, detail(err))
}

// detail hides our own timeouts from errors.Is, so that they do not look like the end of the caller's context.
func detail(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errors.New("the proxy did not reply in time")
	}
	if s, ok := status.FromError(err); ok && codeOf(err) == v2.Code_CODE_UNSPECIFIED {
		text := s.Message()
		if strings.Contains(text, plainTextClosed) {
			text += "; the proxy may require TLS"
		}
		return fmt.Errorf("%s: %s", s.Code(), text)
	}
	return err
}
