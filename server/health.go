package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"golang.org/x/sync/singleflight"
)

// readyz responds with 200 and "ok" if all checks pass, otherwise with 503 and "unavailable". What is wrong shows at the admin address: anyone may
// ask here, and the text of an error names the shop's servers.
func readyz(w http.ResponseWriter, r *http.Request, checks map[string]func(context.Context) error) {
	for _, check := range checks {
		if ask(r.Context(), check) != nil {
			http.Error(w, "unavailable", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

func ask(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return check(ctx)
}

// shareChecks lets concurrent callers share one run of each check: /readyz needs no token, and a check takes a connection from checkouts.
func shareChecks(checks map[string]func(context.Context) error) map[string]func(context.Context) error {
	var flights singleflight.Group
	out := make(map[string]func(context.Context) error, len(checks))
	for name, check := range checks {
		out[name] = func(ctx context.Context) error {
			_, err, _ := flights.Do(name, func() (any, error) {
				return nil, ask(context.WithoutCancel(ctx), check) // The others need the result although the first caller left.
			})
			return err
		}
	}
	return out
}

// health is grpchealth's checker: a service is SERVING while all checks pass.
type health struct {
	checks map[string]func(ctx context.Context) error
	names  []string
}

// Check returns the status of one service, or of all if the request has none.
func (h health) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if req.Service != "" && !slices.Contains(h.names, req.Service) {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("there is no service %q", req.Service))
	}
	for _, check := range h.checks {
		if ok := ask(ctx, check) == nil; !ok {
			return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
		}
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}
