package server

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/order"
)

// maxViolations bounds the violations in one error: gRPC sends them in a trailer, and clients take 8 to 16 kB of those.
const maxViolations = 20

// fieldViolation is one field that is not valid.
type fieldViolation struct {
	// field is the path in the JSON of the request, such as lines[0].quantity.
	field       string
	description string
	// reason is that of the violation, in upper case: the id of a validation rule such as INT32_GTE_LTE, or an order.Reason.
	reason string
}

// invalidField returns an order.ErrInvalid for the field. The text describes the field: it does not begin with its name.
func invalidField(field, format string, args ...any) error {
	return &order.FieldError{Field: field, Err: order.Refuse(order.ErrInvalid, order.ReasonInvalidField, format, args...)}
}

// inField adds the field to an error about its value; errors of other classes, and nil, stay as they are.
func inField(field string, err error) error {
	var invalid *protovalidate.ValidationError
	if errors.As(err, &invalid) {
		return &order.FieldError{Field: field, Err: err}
	}
	return order.InField(field, err)
}

// violationsOf are the fields that the error names.
func violationsOf(err error) []fieldViolation {
	var field *order.FieldError
	var invalid *protovalidate.ValidationError
	named := errors.As(err, &field)
	switch {
	case errors.As(err, &invalid):
		prefix := ""
		if named {
			prefix = field.Field + "."
		}
		return ruleViolations(invalid, prefix)
	case named:
		return []fieldViolation{{field: field.Field, description: field.Err.Error(), reason: string(reasonOf(field.Err, order.ReasonInvalidField))}}
	}
	return nil
}

// reasonOf is the reason that the error has, or the other one.
func reasonOf(err error, otherwise order.Reason) order.Reason {
	var refused *order.RefusalError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return otherwise
}

// ruleViolations reads the validation rules that a message breaks.
func ruleViolations(err *protovalidate.ValidationError, prefix string) []fieldViolation {
	out := make([]fieldViolation, 0, min(len(err.Violations), maxViolations))
	for _, v := range err.Violations[:min(len(err.Violations), maxViolations)] {
		out = append(out, fieldViolation{
			field:       prefix + jsonPath(protovalidate.FieldPathString(v.Proto.GetField())),
			description: v.Proto.GetMessage(),
			reason:      strings.ToUpper(notAWord.ReplaceAllString(v.Proto.GetRuleId(), "_")),
		})
	}
	return out
}

var (
	notAWord   = regexp.MustCompile(`\W+`)
	underscore = regexp.MustCompile(`_[a-z0-9]`)
)

// jsonPath turns the names of a path into JSON's. The API's requests have no maps, so that no key is changed.
func jsonPath(path string) string {
	return underscore.ReplaceAllStringFunc(path, func(s string) string { return strings.ToUpper(s[1:]) })
}

// invalidFields is the refusal of a request with invalid fields.
func invalidFields(fields []fieldViolation) refusal {
	text := make([]string, len(fields))
	for i, v := range fields {
		text[i] = v.field + ": " + v.description
	}
	return refusal{
		code: connect.CodeInvalidArgument, reason: order.ReasonInvalidField, fields: fields,
		text: fmt.Sprintf("the request is not valid: %s", strings.Join(text, "; ")),
	}
}

func badRequest(fields []fieldViolation) *errdetails.BadRequest {
	out := &errdetails.BadRequest{}
	for _, v := range fields {
		out.FieldViolations = append(out.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: v.field, Description: v.description, Reason: v.reason,
		})
	}
	return out
}
