package main

import (
	_ "embed"
	"errors"
	"fmt"
	"text/template"

	"entgo.io/ent/entc/gen"
	"entgo.io/ent/schema/field"
)

//go:embed runtime.tmpl
var runtimeText string

// runtimeTemplate generates defaults and validators that do not need package schema.
func runtimeTemplate() *gen.Template {
	return gen.MustParse(gen.NewTemplate("runtime/register").Funcs(template.FuncMap{
		"fieldsOf": fieldsOf, "defaultOf": defaultOf, "validatorOf": validatorOf,
	}).Parse(runtimeText))
}

// errUnsupported stops the generation for a schema that would lose a default or a validator.
var errUnsupported = errors.New("ent/generate/runtime.tmpl does not know it")

// fieldsOf returns the fields of a table, its id included. It fails for what runtimeTemplate does not generate.
func fieldsOf(n *gen.Type) ([]*gen.Field, error) {
	fields := n.Fields
	if n.HasOneFieldID() && n.ID.UserDefined {
		fields = append(fields[:len(fields):len(fields)], n.ID)
	}
	for _, f := range fields {
		if f.UpdateDefault || f.HasValueScanner() {
			return nil, fmt.Errorf("%s.%s: an update default or a value scanner: %w", n.Name, f.Name, errUnsupported)
		}
	}
	if n.NumHooks()+n.NumInterceptors()+n.NumPolicy() > 0 {
		return nil, fmt.Errorf("%s: hooks, interceptors and policies: %w", n.Name, errUnsupported)
	}
	return fields, nil
}

// defaultOf is a constant as Go's source.
func defaultOf(f *gen.Field) (string, error) {
	if f.DefaultFunc() || f.HasGoType() || f.IsJSON() || f.IsEnum() {
		return "", fmt.Errorf("the default of %s: %w", f.Name, errUnsupported)
	}
	return fmt.Sprintf("%#v", f.DefaultValue()), nil
}

// validatorOf is the call that makes the field's validator. TestRuntime_ValidatesAsTheSchema checks that it is the schema's.
func validatorOf(f *gen.Field) (string, error) {
	minimum, hasMinimum := f.Annotations["Minimum"].(map[string]any)
	switch {
	case f.Validators != 1 || f.HasGoType():
	case f.Type.Type == field.TypeString && f.Column().Size > 0:
		return fmt.Sprintf("maxRunes(%d)", f.Column().Size), nil
	case f.Type.Type == field.TypeBytes && f.Column().Size > 0:
		return fmt.Sprintf("maxBytes(%d)", f.Column().Size), nil
	case f.Type.Type.Integer() && hasMinimum:
		return fmt.Sprintf("atLeast[%s](%v)", f.Type, minimum["Value"]), nil
	}
	return "", fmt.Errorf("the validators of %s: %w", f.Name, errUnsupported)
}
