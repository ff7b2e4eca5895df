package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// reasonWidth is how much of a reason a line of the list shows, in characters.
const reasonWidth = 80

// deadLetterTable prints one line per dead letter.
func deadLetterTable(out io.Writer, found []*spillwayv1.DeadLetter, more bool) error {
	if len(found) == 0 {
		fmt.Fprintln(out, "no dead letters")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATUS\tSOURCE\tORDER\tATTEMPTS\tCREATED\tREASON")
	for _, l := range found {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%s\n", l.GetId(), statusName(l), printable(l.GetSource()), dash(l.GetOrderId()), l.GetAttempts(),
			l.GetCreateTime().AsTime().Format(time.RFC3339), oneLine(l.GetReason()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintln(out, "there are more: raise --limit")
	}
	return nil
}

// deadLetterDetails prints everything of a dead letter.
func deadLetterDetails(out io.Writer, l *spillwayv1.DeadLetter) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"id", fmt.Sprint(l.GetId())},
		{"status", statusName(l)},
		{"source", printable(l.GetSource())},
		{"order", dash(l.GetOrderId())},
		{"reason", printable(l.GetReason())},
		{"attempts", fmt.Sprint(l.GetAttempts())},
		{"trace", dash(l.GetTraceId())},
		{"created", l.GetCreateTime().AsTime().Format(time.RFC3339)},
		{"updated", l.GetUpdateTime().AsTime().Format(time.RFC3339)},
		{"payload", dash(l.GetPayloadType())},
	} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var payload bytes.Buffer
	if err := json.Indent(&payload, []byte(l.GetPayloadJson()), "", "  "); err != nil {
		return fmt.Errorf("the payload is not JSON: %w", err)
	}
	fmt.Fprintf(out, "%s\n", order.PrintableJSON(payload.Bytes()))
	if len(l.GetHistory()) == 0 {
		return nil
	}
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nWHEN\tWHO\tWHAT\tWHY")
	for _, a := range l.GetHistory() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.GetTime().AsTime().Format(time.RFC3339), printable(a.GetActor()), printable(a.GetAction()), printable(a.GetDetail()))
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// printable keeps what came from outside from moving the cursor, starting lines of its own, or turning the direction of a line.
func printable(s string) string { return order.Printable(s) }

// oneLine is the beginning of a text.
func oneLine(s string) string {
	if r := []rune(printable(s)); len(r) > reasonWidth {
		return string(r[:reasonWidth-1]) + "…"
	}
	return printable(s)
}
