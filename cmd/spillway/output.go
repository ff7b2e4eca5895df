package main

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

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
	var out []byte
	for _, r := range string(raw) {
		if r < firstControl || r == ' ' || unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out, nil
}

// firstControl is the first control character that JSON allows in a text: DEL. Those before it are escaped, or white space between texts.
const firstControl = 0x7f
