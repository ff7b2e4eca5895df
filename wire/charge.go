package wire

import (
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

var chargeStates = map[order.ChargeState]spillwayv1.ChargeState{
	order.ChargePending:   spillwayv1.ChargeState_CHARGE_STATE_PENDING,
	order.ChargeSucceeded: spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED,
	order.ChargeDeclined:  spillwayv1.ChargeState_CHARGE_STATE_DECLINED,
	order.ChargeVoided:    spillwayv1.ChargeState_CHARGE_STATE_VOIDED,
	order.ChargeRefunded:  spillwayv1.ChargeState_CHARGE_STATE_REFUNDED,
	order.ChargeRefunding: spillwayv1.ChargeState_CHARGE_STATE_REFUNDING,
}

// ChargeState is the state of a charge on the wire.
func ChargeState(s order.ChargeState) spillwayv1.ChargeState { return chargeStates[s] }

// FromChargeState reads the state of a charge. One that this process does not know is order.ChargeNone.
func FromChargeState(s spillwayv1.ChargeState) order.ChargeState {
	for state, msg := range chargeStates {
		if msg == s {
			return state
		}
	}
	return order.ChargeNone
}
