package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/stock"
)

// Checkout is the CheckoutService.
type Checkout struct {
	Prices   PriceSource
	Carts    CartContents
	Rates    Converter
	Shipping ShippingClient
	Payments PaymentClient
	Stock    Reserver
	Orders   OrderStore
	// Cancellations cancel orders that Redis does not hold.
	Cancellations CancellationStore
	Durable       Durability
	Log           *slog.Logger
	// Reader reads the orders that PayOrder pays, as their customers see them. Like Orders.Changing it must not share connections with browsing.
	Reader OrderReader
	// Partition is the partition of the orders that this process places.
	Partition uint8
	// Paying bounds the charges that are under way; nil is no bound.
	Paying *ChargeSlots
	// Declines bounds the declined cards; nil is no bound.
	Declines *DeclineLimits
	// PayWithin is the time in which an order that was placed without a card can be paid.
	PayWithin time.Duration
	// Now is time.Now.
	Now func() time.Time

	// finishing bounds the steps after a reservation.
	finishing breaker.SharedTimeout
}

// PriceSource reads the names and prices of products.
type PriceSource interface {
	// Prices returns an entry for each SKU. It returns order.ErrNotFound, with the SKU, if one of them does not exist.
	Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]ProductPrice, error)
}

// ProductPrice is a product's name and price, in the catalogue's currency.
type ProductPrice struct {
	Name  string
	Price order.Money
	// Archived products cannot be ordered.
	Archived bool
	// MaxPerCustomer is the number of units that one customer may order within a day; 0 is no limit.
	MaxPerCustomer int
	// SaleStartsAt is when orders begin to be taken; zero if they always were.
	SaleStartsAt time.Time
}

// CartContents reads and empties carts.
type CartContents interface {
	Contents(ctx context.Context, customer order.CustomerID) ([]order.Demand, error)
	// EmptyIf empties the cart if it still holds just these items.
	EmptyIf(ctx context.Context, customer order.CustomerID, items []order.Demand) error
}

// ShippingClient prices parcels.
type ShippingClient interface {
	Quote(ctx context.Context, to order.Address, demand []order.Demand, currency order.Currency) (order.Money, error)
}

// PaymentClient charges cards, once per order.
type PaymentClient interface {
	// Ready returns order.ErrUnavailable while charges are not sent, because the payment provider is down.
	Ready() error
	// Charge returns the outcome of the charge, also if it was declined. order.ErrUnknownOutcome means that the outcome is not known
	// yet; order.ErrFailedPrecondition that the order must not be charged any more.
	Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error)
	// ChargeAgain is like Charge, and also charges an order with a declined card again.
	ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error)
	Refund(ctx context.Context, id order.ID, reason string) error
}

// Reserver reserves stock and settles or releases what is reserved.
type Reserver interface {
	Reserve(ctx context.Context, r stock.Request) (stock.Reservation, error)
	Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error)
	Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error)
	// MarkUnpaid counts an order as unpaid while the outcome of its charge is not known.
	MarkUnpaid(ctx context.Context, id order.ID) error
	HotOrder(ctx context.Context, id order.ID) (stock.HotOrder, error)
	Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error)
	// IdempotencyRecordsMayBeLost reports whether Redis may have lost idempotency records that are still valid.
	IdempotencyRecordsMayBeLost() bool
}

// OrderStore reads and settles orders in SQL.
type OrderStore interface {
	Get(ctx context.Context, id order.ID) (order.Order, error)
	FindByKey(ctx context.Context, customer order.CustomerID, key string) (order.Order, error)
	// CancellationOf returns why an order is cancelled that has a cancellation, also if it has no row, and order.ErrNotFound without one.
	CancellationOf(ctx context.Context, id order.ID) (order.CancelReason, error)
	// MarkPaid changes a PENDING order to PAID, in SQL alone.
	MarkPaid(ctx context.Context, o order.Order, at time.Time) error
}

// CancellationStore cancels orders in SQL.
type CancellationStore interface {
	// Cancel brings an order from one of the states to CANCELLED, and enqueues the return of its units and its money. It leaves one that is CANCELLED
	// as it is. order.ErrNotFound means that it has no row, order.ErrFailedPrecondition that it is in another state, and store.ErrBeingShipped
	// that the carrier may have it.
	Cancel(ctx context.Context, id order.ID, from []order.State, reason order.CancelReason, actor string) (was order.State, err error)
}

// Durability is how safe the shop's setting makes an order before its response.
type Durability interface {
	DurabilityWaiter
	// Ready returns an order.RetryError of order.ErrUnavailable while a new order could not become as durable as the setting promises.
	Ready() error
}

// DurabilityWaiter waits until a state is as durable as the setting of the shop promises.
type DurabilityWaiter interface {
	// Wait returns when the journal up to the offset is as durable as the setting of the shop requires.
	Wait(ctx context.Context, offset journal.Offset, id order.ID) error
}
