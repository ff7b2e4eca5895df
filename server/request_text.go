package server

import (
	"errors"
	"fmt"
	"net/mail"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/spillway/spillway/order"
)

// blocks are the fields with texts of several lines.
var blocks = map[protoreflect.Name]bool{"description": true, "payload_json": true}

// fieldRules are rules of single fields that the schema cannot express, by the name of the field. An empty text keeps them.
var fieldRules = map[protoreflect.Name]func(text string) error{
	"country_code": func(code string) error {
		if !order.IsCountry(code) {
			return errNotACountry
		}
		return nil
	},
	"email": func(address string) error {
		// As the mailer reads it, which would drop the mails of what it cannot read.
		if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
			return errNotAMailAddress
		}
		return nil
	},
}

// searches are fields that look for what is stored, which may be older than the rules.
var searches = map[protoreflect.FullName]bool{"spillway.v1.ListOrdersRequest.email": true}

var (
	errUnclean         = errors.New("must have no control characters, line breaks, or characters that turn the direction of text")
	errNotACountry     = errors.New("must be a country's ISO 3166-1 alpha-2 code in capitals, such as DE")
	errNotAMailAddress = errors.New("must be a mail address that mails can be sent to")
)

// checkTexts returns the error of the first text in the request that could harm who reads it in a terminal, a log or a mail, or that breaks one of
// fieldRules. It looks at every field, also those that are added to the schema later.
func checkTexts(m proto.Message) error {
	return checkMessage(m.ProtoReflect(), "")
}

func checkMessage(m protoreflect.Message, path string) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := path + f.JSONName()
		if !f.IsList() {
			err = checkValue(f, v, name)
			return err == nil
		}
		for i := 0; i < v.List().Len() && err == nil; i++ {
			err = checkValue(f, v.List().Get(i), fmt.Sprintf("%s[%d]", name, i))
		}
		return err == nil
	})
	return err
}

func checkValue(f protoreflect.FieldDescriptor, v protoreflect.Value, name string) error {
	switch {
	case f.IsMap(): // No request has one.
		return nil
	case f.Message() != nil:
		return checkMessage(v.Message(), name+".")
	case f.Kind() != protoreflect.StringKind:
		return nil
	}
	clean := order.IsClean
	if blocks[f.Name()] {
		clean = order.IsCleanBlock
	}
	if !clean(v.String()) {
		return invalidField(name, "%s", errUnclean)
	}
	if rule := fieldRules[f.Name()]; rule != nil && !searches[f.FullName()] && v.String() != "" {
		if err := rule(v.String()); err != nil {
			return invalidField(name, "%s", err)
		}
	}
	return nil
}
