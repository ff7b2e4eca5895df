package orderjson

import spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"

// Append appends the JSON of a message to dst and reports whether it has handled it: the JSON is then that of protojson with
// EmitDefaultValues, apart from white space. It handles messages that have an order and no other field. Otherwise the returned slice is useless, and dst is unchanged up to its length.
func Append(dst []byte, m any) ([]byte, bool) {
	var o *spillwayv1.Order
	switch m := m.(type) {
	case *spillwayv1.PlaceOrderResponse:
		o = m.GetOrder()
	case *spillwayv1.PayOrderResponse:
		o = m.GetOrder()
	case *spillwayv1.CancelOrderResponse:
		o = m.GetOrder()
	}
	if o == nil {
		return dst, false
	}
	w := writer{out: dst}
	w.byte('{')
	w.order("order", o)
	w.byte('}')
	return w.out, !w.failed
}

// order writes the fields in the order of the schema, as protojson does.
func (w *writer) order(name string, m *spillwayv1.Order) {
	w.name(name)
	w.byte('{')
	w.text("id", m.GetId())
	w.enum("state", spillwayv1.OrderState_name, int32(m.GetState()))
	w.text("customerId", m.GetCustomerId())
	w.lines("lines", m.GetLines())
	w.money("itemsTotal", m.GetItemsTotal())
	w.money("shippingTotal", m.GetShippingTotal())
	w.money("total", m.GetTotal())
	w.text("email", m.GetEmail())
	w.address("shippingAddress", m.GetShippingAddress())
	w.text("trackingId", m.GetTrackingId())
	w.time("createTime", m.GetCreateTime())
	w.time("updateTime", m.GetUpdateTime())
	w.text("cancelReason", m.GetCancelReason())
	w.time("expireTime", m.GetExpireTime())
	w.money("refundedTotal", m.GetRefundedTotal())
	w.money("refundPendingTotal", m.GetRefundPendingTotal())
	w.enum("cancelCode", spillwayv1.CancelCode_name, int32(m.GetCancelCode()))
	w.text("duplicateOf", m.GetDuplicateOf())
	w.text("declineCode", m.GetDeclineCode())
	w.byte('}')
}

func (w *writer) lines(name string, lines []*spillwayv1.OrderLine) {
	w.name(name)
	w.byte('[')
	for _, l := range lines {
		w.comma()
		w.byte('{')
		w.text("sku", l.GetSku())
		w.text("name", l.GetName())
		w.int32("quantity", l.GetQuantity())
		w.money("unitPrice", l.GetUnitPrice())
		w.money("total", l.GetTotal())
		w.byte('}')
	}
	w.byte(']')
}

// money writes an amount, and leaves out a nil one.
func (w *writer) money(name string, m *spillwayv1.Money) {
	if m == nil {
		return
	}
	w.name(name)
	w.byte('{')
	w.text("currencyCode", m.GetCurrencyCode())
	w.int64("units", m.GetUnits())
	w.int32("nanos", m.GetNanos())
	w.byte('}')
}

// address writes an address, and leaves out a nil one.
func (w *writer) address(name string, m *spillwayv1.Address) {
	if m == nil {
		return
	}
	w.name(name)
	w.byte('{')
	w.text("name", m.GetName())
	w.text("street", m.GetStreet())
	w.text("city", m.GetCity())
	w.text("region", m.GetRegion())
	w.text("postalCode", m.GetPostalCode())
	w.text("countryCode", m.GetCountryCode())
	w.byte('}')
}
