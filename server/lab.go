package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spillway/spillway/auth"
)

// Lab sends loads to the shop that serves it, for development.
type Lab interface {
	// Start starts a load, or returns ErrLabBusy or what is wrong with it.
	Start(LabLoad) error
	// Stop ends the load. It does not wait for that.
	Stop()
	// State is the state of the newest load, as JSON.
	State() any
}

// ErrLabBusy means that a load is running.
var ErrLabBusy = errors.New("a load is running")

// LabLoad is a load that the console requests.
type LabLoad struct {
	Scenario string  `json:"scenario"`
	Rate     float64 `json:"rate"`     // arrivals a second
	Duration int     `json:"duration"` // in seconds
	Stock    int64   `json:"stock"`    // units of a flash sale
}

const (
	labPath = "/ops/load.json"
	// maxLabBytes bounds the request of a load, which has about 100 bytes.
	maxLabBytes = 4096
)

// mountLab serves the load lab, to operators, if there is one.
func (p Pages) mountLab(mux *http.ServeMux, tokens *auth.Tokens) {
	if p.Lab == nil {
		return
	}
	serve := func(method string, change func(r *http.Request) (status int, err error)) {
		mux.HandleFunc(method+" "+labPath, func(w http.ResponseWriter, r *http.Request) {
			protect(w)
			w.Header().Set("Cache-Control", "no-store")
			if status, err := allowLab(tokens, r); err != nil {
				labError(w, status, err)
			} else if status, err := change(r); err != nil {
				labError(w, status, err)
			} else {
				labReply(w, http.StatusOK, p.Lab.State())
			}
		})
	}
	serve(http.MethodGet, func(*http.Request) (int, error) { return 0, nil })
	serve(http.MethodPost, p.startLab)
	serve(http.MethodDelete, func(*http.Request) (int, error) { p.Lab.Stop(); return 0, nil })
}

// allowLab admits operators, and to its state those who only read. The token is in a header, so that a foreign page cannot start a load.
func allowLab(tokens *auth.Tokens, r *http.Request) (status int, err error) {
	caller, err := callerOf(tokens, r.Header.Get("Authorization"))
	switch {
	case err != nil:
		return http.StatusUnauthorized, err
	case caller.Has(auth.Operator), r.Method == http.MethodGet && caller.ReadsAll():
		return 0, nil
	}
	return http.StatusForbidden, fmt.Errorf("this needs the role %s", auth.Operator)
}

func (p Pages) startLab(r *http.Request) (status int, err error) {
	var load LabLoad
	if err := json.NewDecoder(io.LimitReader(r.Body, maxLabBytes)).Decode(&load); err != nil {
		return http.StatusBadRequest, fmt.Errorf("read the load: %w", err)
	}
	err = p.Lab.Start(load)
	if errors.Is(err, ErrLabBusy) {
		return http.StatusConflict, err
	}
	return http.StatusBadRequest, err
}

func labError(w http.ResponseWriter, status int, err error) {
	labReply(w, status, struct {
		Message string `json:"message"`
	}{err.Error()})
}

func labReply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // The client may be gone.
}
