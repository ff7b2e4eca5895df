package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// orderTable prints a line an order.
func orderTable(out io.Writer, orders []*spillwayv1.Order, more bool) error {
	if len(orders) == 0 {
		fmt.Fprintln(out, "no orders")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tCUSTOMER\tTOTAL\tCREATED")
	for _, o := range orders {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(o.GetId()), stateName(o.GetState()), printable(o.GetCustomerId()), amountText(o.GetTotal()),
			o.GetCreateTime().AsTime().Format(time.RFC3339))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintln(out, "there are more: raise --limit")
	}
	return nil
}

// orderPage prints all of an order.
func orderPage(out io.Writer, o *spillwayv1.Order) error {
	a := o.GetShippingAddress()
	rows := [][2]string{
		{"id", printable(o.GetId())},
		{"state", stateName(o.GetState())},
		{"cancel reason", dash(o.GetCancelReason())},
		{"customer", dash(o.GetCustomerId())},
		{"email", dash(o.GetEmail())},
		{"address", dash(strings.Join([]string{a.GetName(), a.GetStreet(), a.GetPostalCode() + " " + a.GetCity(), a.GetCountryCode()}, ", "))},
		{"tracking id", dash(o.GetTrackingId())},
		{"shipping", amountText(o.GetShippingTotal())},
		{"total", amountText(o.GetTotal())},
		{"refunded", amountText(o.GetRefundedTotal())},
		{"refund pending", amountText(o.GetRefundPendingTotal())},
		{"created", o.GetCreateTime().AsTime().Format(time.RFC3339)},
		{"updated", o.GetUpdateTime().AsTime().Format(time.RFC3339)},
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	fmt.Fprintln(w, "\nSKU\tNAME\tQUANTITY\tPRICE")
	for _, l := range o.GetLines() {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", printable(l.GetSku()), printable(l.GetName()), l.GetQuantity(), amountText(l.GetUnitPrice()))
	}
	return w.Flush()
}

// refundPage prints a refund, and what is refunded of the order in all.
func refundPage(out io.Writer, r *spillwayv1.RefundOrderResponse) error {
	confirmed := "not confirmed by the payment provider yet"
	if t := r.GetRefund().GetConfirmTime(); t != nil {
		confirmed = t.AsTime().Format(time.RFC3339)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"refund", printable(r.GetRefund().GetId())},
		{"order", printable(r.GetOrder().GetId())},
		{"amount", amountText(r.GetRefund().GetAmount())},
		{"confirmed", confirmed},
		{"refunded in all", amountText(r.GetOrder().GetRefundedTotal())},
		{"refund pending in all", amountText(r.GetOrder().GetRefundPendingTotal())},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	return w.Flush()
}

func stateName(s spillwayv1.OrderState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "ORDER_STATE_"))
}

// nanosPerUnit is what google.type.Money divides a unit into; nanosPerCent of them are the hundredth that amounts are printed in.
const (
	nanosPerUnit   = 1_000_000_000
	nanosPerCent   = nanosPerUnit / 100
	amountDecimals = 9
)

// amountText is "EUR 12.50", or "-" for none.
func amountText(m *spillwayv1.Money) string {
	if m == nil {
		return "-"
	}
	return fmt.Sprintf("%s %d.%02d", printable(m.GetCurrencyCode()), m.GetUnits(), m.GetNanos()/nanosPerCent)
}

var amountPattern = regexp.MustCompile(`^(\d{1,15})(?:\.(\d{1,9}))?$`)

// parseAmount parses a positive decimal number, without its currency.
func parseAmount(text string) (*spillwayv1.Money, error) {
	m := amountPattern.FindStringSubmatch(text)
	if m == nil {
		return nil, errors.New("must be a number such as 12 or 12.50")
	}
	units, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return nil, err
	}
	nanos, err := strconv.ParseInt((m[2] + strings.Repeat("0", amountDecimals))[:amountDecimals], 10, 32)
	if err != nil {
		return nil, err
	}
	if units == 0 && nanos == 0 {
		return nil, errors.New("must be more than nothing")
	}
	return &spillwayv1.Money{Units: units, Nanos: int32(nanos)}, nil
}
