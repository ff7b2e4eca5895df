package schema_test

import (
	"strings"
	"testing"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/spillway/spillway/ent/migrate"
	"github.com/spillway/spillway/ent/schema"
)

var tables = []ent.Interface{
	schema.Charge{},
	schema.DeadLetter{},
	schema.DeadLetterAction{},
	schema.DueMail{},
	schema.GuestClaim{},
	schema.Order{},
	schema.OrderCancellation{},
	schema.OrderItem{},
	schema.Product{},
	schema.Refund{},
	schema.SentMail{},
	schema.Setting{},
	schema.Shipment{},
	schema.StockAdjustment{},
	schema.StockDedupLog{},
	schema.StockEpoch{},
	schema.StockReturn{},
}

// TestFields_ValidatorsAreThoseThatAreGenerated: ent/generate makes the validators of the program from the sizes of the fields, and from Minimum.
func TestFields_ValidatorsAreThoseThatAreGenerated(t *testing.T) {
	t.Parallel()
	if len(tables) != len(migrate.Tables) {
		t.Fatalf("the test knows %d tables of %d", len(tables), len(migrate.Tables))
	}
	for _, table := range tables {
		fields := table.Fields()
		for _, m := range table.Mixin() {
			fields = append(fields, m.Fields()...)
		}
		for _, f := range fields {
			checkValidators(t, f.Descriptor())
		}
	}
}

func checkValidators(t *testing.T, d *field.Descriptor) {
	t.Helper()
	for _, v := range d.Validators {
		var below, beyond error
		switch validate := v.(type) {
		case func(string) error:
			below, beyond = validate(strings.Repeat("é", d.Size)), validate(strings.Repeat("é", d.Size+1))
		case func([]byte) error:
			below, beyond = validate(make([]byte, d.Size)), validate(make([]byte, d.Size+1))
		case func(int32) error:
			least := minimumOf(t, d)
			below, beyond = validate(least), validate(least-1)
		default:
			t.Errorf("%s has a validator of type %T", d.Name, v)
		}
		if below != nil || beyond == nil || len(d.Validators) > 1 {
			t.Errorf("%s has %d validators, for its size or minimum: %v, beyond: %v", d.Name, len(d.Validators), below, beyond)
		}
	}
}

func minimumOf(t *testing.T, d *field.Descriptor) int32 {
	t.Helper()
	for _, a := range d.Annotations {
		if m, ok := a.(schema.Minimum); ok {
			return int32(m.Value)
		}
	}
	t.Fatalf("%s has a limit without the annotation Minimum", d.Name)
	return 0
}
