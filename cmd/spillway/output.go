package main

import (
	"bytes"
	"encoding/json"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/order"
)

// outputFlags select the form of what a command prints.
type outputFlags struct {
	Output string `name:"output" short:"o" enum:"table,json" default:"table" help:"The form of the output: ${enum}. json is one document with snake_case field names."`
}

func (f outputFlags) json() bool { return f.Output == "json" }

// printJSON prints one indented document, without control characters.
func printJSON(out io.Writer, v any) error {
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := out.Write(order.PrintableJSON(raw.Bytes()))
	return err
}

// printMessage prints a message of the API as one indented document. Field names are those of the .proto file; 64-bit integers are strings,
// as in the JSON of every proto3 message.
func printMessage(out io.Writer, m proto.Message) error {
	raw, err := messageJSON(m)
	if err != nil {
		return err
	}
	return printJSON(out, json.RawMessage(raw))
}

// messageJSON is a message as JSON, in which the control characters of texts are escaped, also those that JSON allows: none reaches a terminal.
func messageJSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true, UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return order.PrintableJSON(raw), nil
}
