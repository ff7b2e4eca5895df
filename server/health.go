package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"golang.org/x/sync/singleflight"
)

// readyz lists what does not work; 503 if anything. Beside it stand the breakers' states and the mode.
func readyz(w http.ResponseWriter, r *http.Request, cfg Config) {
	parts := map[string]any{}
	status := http.StatusOK
	if cfg.Breakers != nil {
		parts["breakers"] = cfg.Breakers()
	}
	if cfg.Mode != nil {
		parts["mode"] = cfg.Mode()
	}
	for name, check := range cfg.Ready {
		parts[name] = "ok"
		if err := ask(r.Context(), check); err != nil {
			parts[name], status = err.Error(), http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(parts) // The client may be gone.
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
