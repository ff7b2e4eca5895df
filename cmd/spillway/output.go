package main

import (
	"encoding/json"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// outputFlags select the form of what a command prints.
type outputFlags struct {
	Output string `name:"output" short:"o" enum:"table,json" default:"table" help:"The form of the output: ${enum}. json is one document with snake_case field names."`
}

func (f outputFlags) json() bool { return f.Output == "json" }

// printJSON prints one indented document.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printMessage prints a message of the API as one indented document. Field names are those of the .proto file; 64-bit integers are strings,
// as in the JSON of every proto3 message.
func printMessage(out io.Writer, m proto.Message) error {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true, UseProtoNames: true}.Marshal(m)
	if err != nil {
		return err
	}
	return printJSON(out, json.RawMessage(raw))
}
