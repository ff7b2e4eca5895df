package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

var stateToWire = map[order.State]spillwayv1.OrderState{
	order.Pending:    spillwayv1.OrderState_ORDER_STATE_PENDING,
	order.Paid:       spillwayv1.OrderState_ORDER_STATE_PAID,
	order.Cancelled:  spillwayv1.OrderState_ORDER_STATE_CANCELLED,
	order.Shipped:    spillwayv1.OrderState_ORDER_STATE_SHIPPED,
	order.ShipFailed: spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED,
}

var stateFromWire = invert(stateToWire)

// invert returns the map from the values to their keys, which must be distinct.
func invert[K, V comparable](m map[K]V) map[V]K {
	out := make(map[V]K, len(m))
	for k, v := range m {
		out[v] = k
	}
	return out
}

// State converts a state to its message; an unknown one becomes UNSPECIFIED.
func State(s order.State) spillwayv1.OrderState { return stateToWire[s] }

// FromState converts a message to a state. It fails with order.ErrInvalid for UNSPECIFIED and for states unknown to
// this version.
func FromState(s spillwayv1.OrderState) (order.State, error) {
	if domain, ok := stateFromWire[s]; ok {
		return domain, nil
	}
	return 0, fmt.Errorf("order state %v: %w", s, order.ErrInvalid)
}

// Address converts an address to its message.
func Address(a order.Address) *spillwayv1.Address {
	return &spillwayv1.Address{
		Name: a.Name, Street: a.Street, City: a.City, Region: a.Region,
		PostalCode: a.PostalCode, CountryCode: a.CountryCode,
	}
}

// FromAddress converts a message to an address; nil becomes the empty address.
func FromAddress(a *spillwayv1.Address) order.Address {
	return order.Address{
		Name: a.GetName(), Street: a.GetStreet(), City: a.GetCity(), Region: a.GetRegion(),
		PostalCode: a.GetPostalCode(), CountryCode: a.GetCountryCode(),
	}
}

// Destination is the address of a quote. The country takes precedence over that of the message.
func Destination(country string, a *spillwayv1.Address) order.Address {
	to := FromAddress(a)
	if country != "" {
		to.CountryCode = country
	}
	return to
}

// Demand converts the requested units to lines.
func Demand(demand []order.Demand) []*spillwayv1.Line {
	out := make([]*spillwayv1.Line, len(demand))
	for i, d := range demand {
		out[i] = &spillwayv1.Line{Sku: string(d.SKU), Quantity: int32(d.Quantity)} //nolint:gosec // At most MaxQuantity.
	}
	return out
}

// FromDemand converts lines to the requested units per SKU. It fails as order.SumDemand does.
func FromDemand(lines []*spillwayv1.Line) ([]order.Demand, error) {
	out := make([]order.Demand, len(lines))
	for i, l := range lines {
		out[i] = order.Demand{SKU: order.SKU(l.GetSku()), Quantity: int(l.GetQuantity())}
	}
	return order.SumDemand(out)
}

// Order converts an order to its message, without the idempotency key and the fingerprint.
func Order(o order.Order) *spillwayv1.Order {
	msg := &spillwayv1.Order{
		Id:              string(o.ID),
		State:           State(o.State),
		CustomerId:      string(o.CustomerID),
		Lines:           lines(o),
		ItemsTotal:      Money(order.Money{Currency: o.Currency, Amount: o.ItemsTotal}),
		ShippingTotal:   Money(order.Money{Currency: o.Currency, Amount: o.ShippingTotal}),
		Total:           Money(order.Money{Currency: o.Currency, Amount: o.Total}),
		Email:           o.Email,
		ShippingAddress: Address(o.Address),
		TrackingId:      o.TrackingID,
		CreateTime:      timestamppb.New(o.CreatedAt),
		UpdateTime:      timestamppb.New(o.UpdatedAt),
		CancelReason:    o.CancelReason.Text,
		CancelCode:      CancelCode(o.CancelReason.Code),
		DuplicateOf:     string(o.CancelReason.DuplicateOf),
		DeclineCode:     o.CancelReason.DeclineCode,
		ExpireTime:      Time(o.ExpiresAt),
	}
	if o.Refunded != 0 {
		msg.RefundedTotal = Money(order.Money{Currency: o.Currency, Amount: o.Refunded})
	}
	if o.RefundPending != 0 {
		msg.RefundPendingTotal = Money(order.Money{Currency: o.Currency, Amount: o.RefundPending})
	}
	return msg
}

// lines converts the lines of an order to their messages.
func lines(o order.Order) []*spillwayv1.OrderLine {
	out := make([]*spillwayv1.OrderLine, len(o.Lines))
	for i, l := range o.Lines {
		out[i] = &spillwayv1.OrderLine{
			Sku: string(l.SKU), Name: l.Name,
			Quantity:  int32(l.Quantity), //nolint:gosec // At most MaxQuantity.
			UnitPrice: Money(order.Money{Currency: o.Currency, Amount: l.UnitPrice}),
			Total:     Money(order.Money{Currency: o.Currency, Amount: l.Total()}),
		}
	}
	return out
}

// FromOrder converts a message to an order. It fails with order.ErrInvalid when a state or an amount is invalid, or
// when the amounts have different currencies.
func FromOrder(m *spillwayv1.Order) (order.Order, error) {
	state, err := FromState(m.GetState())
	if err != nil {
		return order.Order{}, err
	}
	o := order.Order{
		ID: order.ID(m.GetId()), CustomerID: order.CustomerID(m.GetCustomerId()), State: state,
		Currency: order.Currency(m.GetTotal().GetCurrencyCode()),
		Email:    m.GetEmail(), Address: FromAddress(m.GetShippingAddress()), TrackingID: m.GetTrackingId(),
		CancelReason: cancelReason(m.GetCancelReason(), m), CreatedAt: FromTime(m.GetCreateTime()), UpdatedAt: FromTime(m.GetUpdateTime()),
		ExpiresAt: FromTime(m.GetExpireTime()),
	}
	read := amounts{currency: o.Currency}
	o.ItemsTotal, o.ShippingTotal, o.Total = read.cents(m.GetItemsTotal()), read.cents(m.GetShippingTotal()), read.cents(m.GetTotal())
	o.Lines = make([]order.Line, len(m.GetLines()))
	for i, l := range m.GetLines() {
		o.Lines[i] = order.Line{
			SKU: order.SKU(l.GetSku()), Name: l.GetName(), Quantity: int(l.GetQuantity()), UnitPrice: read.cents(l.GetUnitPrice()),
		}
	}
	if read.err != nil {
		return order.Order{}, fmt.Errorf("order %s: %w", o.ID, read.err)
	}
	return o, nil
}

// Time returns nil for the zero time.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// FromTime is the zero time for nil. It truncates to the microsecond, the precision of SQL, so that an order is the same from every source.
func FromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

// amounts converts amounts of one currency and keeps the first error.
type amounts struct {
	currency order.Currency
	err      error
}

// cents returns the amount of the message in minor units, or 0 after an error.
func (a *amounts) cents(m *spillwayv1.Money) order.Cents {
	money, err := FromMoney(m)
	if err == nil && money.Currency != a.currency {
		err = fmt.Errorf("an amount in %s in an order in %s: %w", money.Currency, a.currency, order.ErrInvalid)
	}
	if err != nil && a.err == nil {
		a.err = err
	}
	return money.Amount
}
