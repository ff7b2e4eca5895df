package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// access is the permission to call a procedure.
type access struct {
	// public procedures need no token.
	public bool
	// roles, if any: the caller must have one of them. None means any customer.
	roles []auth.Role
	// internal procedures are called within the process only: they carry out what the order's services decided.
	internal bool
}

var (
	anyone    = access{public: true}
	customers = access{}
	operators = access{roles: []auth.Role{auth.Operator}}
	readers   = access{roles: []auth.Role{auth.Operator, auth.OperatorRead}}
	internal  = access{internal: true}
)

// permissions has the access of each procedure. A procedure that is missing cannot be called, so that a new RPC is closed at first.
var permissions = map[string]access{
	spillwayv1connect.SessionServiceStartGuestSessionProcedure: anyone,

	spillwayv1connect.CatalogServiceListProductsProcedure:   anyone,
	spillwayv1connect.CatalogServiceGetProductProcedure:     anyone,
	spillwayv1connect.CatalogServiceGetProductsProcedure:    anyone,
	spillwayv1connect.CatalogServiceSearchProductsProcedure: anyone,
	spillwayv1connect.CatalogServiceCreateProductProcedure:  operators,
	spillwayv1connect.CatalogServiceCreateProductsProcedure: operators,
	spillwayv1connect.CatalogServiceUpdateProductProcedure:  operators,
	spillwayv1connect.CatalogServiceAdjustStockProcedure:    operators,
	spillwayv1connect.CatalogServiceAdjustStocksProcedure:   operators,

	spillwayv1connect.CartServiceAddItemProcedure:     customers,
	spillwayv1connect.CartServiceSetQuantityProcedure: customers,
	spillwayv1connect.CartServiceGetCartProcedure:     customers,
	spillwayv1connect.CartServiceEmptyCartProcedure:   customers,

	spillwayv1connect.CartServiceMergeGuestCartProcedure: customers,

	spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure: anyone,
	spillwayv1connect.CurrencyServiceConvertProcedure:                anyone,

	spillwayv1connect.CheckoutServiceQuoteProcedure:      customers,
	spillwayv1connect.CheckoutServicePlaceOrderProcedure: customers,
	spillwayv1connect.CheckoutServicePayOrderProcedure:   customers,

	spillwayv1connect.OrderServiceGetOrderProcedure:    customers,
	spillwayv1connect.OrderServiceListOrdersProcedure:  customers,
	spillwayv1connect.OrderServiceWatchOrderProcedure:  customers,
	spillwayv1connect.OrderServiceCancelOrderProcedure: customers,
	spillwayv1connect.OrderServiceRefundOrderProcedure: operators,

	spillwayv1connect.OrderServiceClaimGuestOrdersProcedure: customers,

	spillwayv1connect.OrderServiceGetOrderTimelineProcedure: readers,

	spillwayv1connect.ShippingServiceGetQuoteProcedure:    anyone,
	spillwayv1connect.ShippingServiceShipOrderProcedure:   internal,
	spillwayv1connect.ShippingServiceGetShipmentProcedure: customers,

	spillwayv1connect.PaymentServiceChargeProcedure:    internal,
	spillwayv1connect.PaymentServiceGetChargeProcedure: internal,
	spillwayv1connect.PaymentServiceRefundProcedure:    internal,
	spillwayv1connect.PaymentServiceVoidProcedure:      internal,

	spillwayv1connect.PaymentServiceExecuteRefundProcedure: internal,

	spillwayv1connect.EmailServiceSendOrderMailsProcedure: internal,

	spillwayv1connect.DeadLetterServiceListDeadLettersProcedure:   readers,
	spillwayv1connect.DeadLetterServiceGetDeadLetterProcedure:     readers,
	spillwayv1connect.DeadLetterServiceEditDeadLetterProcedure:    operators,
	spillwayv1connect.DeadLetterServiceReplayDeadLetterProcedure:  operators,
	spillwayv1connect.DeadLetterServiceDiscardDeadLetterProcedure: operators,

	spillwayv1connect.DeadLetterServiceSummarizeDeadLettersProcedure: readers,
	spillwayv1connect.DeadLetterServiceReplayDeadLettersProcedure:    operators,
	spillwayv1connect.DeadLetterServiceDiscardDeadLettersProcedure:   operators,

	spillwayv1connect.AuditServiceRunAuditProcedure:     readers,
	spillwayv1connect.AuditServiceListBalancesProcedure: readers,

	spillwayv1connect.OpsServiceWatchPipelineProcedure: readers,
}

const bearerScheme = "bearer"

// authenticate puts the caller of the token into the context. It refuses callers without permission for the procedure, and counts those calls for their address.
// It runs after addresses.
func authenticate(tokens *auth.Tokens, rates *CallRates) connect.Interceptor {
	return before(func(ctx context.Context, b begun) (context.Context, error) {
		admitted, err := admit(ctx, tokens, b.procedure, b.header)
		if err == nil || rates == nil {
			return admitted, err
		}
		return ctx, cmp.Or(rates.take(ctx, b.procedure), err)
	})
}

// admit checks the token in the headers against the procedure. A token that is not good is refused even where none is needed: its
// sender believes in it. So is auth.CustomerHeader, which counts on the internal port: a process that is pointed here would act for itself instead of its customer.
func admit(ctx context.Context, tokens *auth.Tokens, procedure string, headers http.Header) (context.Context, error) {
	header := headers.Get("Authorization")
	may, known := permissions[procedure]
	if !known {
		return ctx, order.Refuse(errUnimplemented, order.ReasonProcedureNotServed, "procedure %s has no permissions yet", procedure).With(metaProcedure, procedure)
	}
	if may.internal {
		return ctx, order.Refuse(errUnimplemented, order.ReasonProcedureNotServed,
			"procedure %s is internal and not served here; operators use OrderService", procedure).With(metaProcedure, procedure)
	}
	if headers.Get(auth.CustomerHeader) != "" {
		return ctx, order.Refuse(errUnimplemented, order.ReasonProcedureNotServed,
			"procedure %s is not served for the customer of the header %s on this port: call the process at its --internal-listen", procedure, auth.CustomerHeader).
			With(metaProcedure, procedure)
	}
	if header == "" && may.public {
		return ctx, nil
	}
	caller, err := callerOf(tokens, header)
	if err != nil {
		return ctx, err
	}
	if len(may.roles) > 0 && !caller.Has(may.roles...) {
		return ctx, roleRequired(may.roles[len(may.roles)-1])
	}
	return auth.With(ctx, caller), nil
}

// roleRequired is the refusal of a caller who needs the role.
func roleRequired(role auth.Role) error {
	return order.Refuse(errPermissionDenied, order.ReasonRoleRequired, "this needs the role %s", role).With("role", string(role))
}

// callerOf reads the token in the header. Its errors are errUnauthenticated, or order.ErrUnavailable while the keys of its issuer are not known.
func callerOf(tokens *auth.Tokens, header string) (auth.Caller, error) {
	if header == "" {
		return auth.Caller{}, order.Refuse(errUnauthenticated, order.ReasonTokenMissing,
			"send a token: `Authorization: Bearer …`; SessionService/StartGuestSession hands one out")
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, bearerScheme) {
		return auth.Caller{}, order.Refuse(errUnauthenticated, order.ReasonTokenInvalid, "the Authorization header must be `Bearer …`")
	}
	caller, err := tokens.Verify(strings.TrimSpace(token))
	if errors.Is(err, order.ErrUnavailable) {
		return auth.Caller{}, err
	}
	if err != nil {
		return auth.Caller{}, order.Refuse(errUnauthenticated, order.ReasonTokenInvalid, "%s", err)
	}
	return caller, nil
}
