package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
)

// stubLab takes one load.
type stubLab struct{ started []LabLoad }

func (l *stubLab) Start(load LabLoad) error {
	if len(l.started) > 0 {
		return ErrLabBusy
	}
	l.started = append(l.started, load)
	return nil
}

func (l *stubLab) Stop() { l.started = nil }

func (l *stubLab) State() any { return map[string]int{"started": len(l.started)} }

// TestLab: operators alone start a load, one at a time.
func TestLab(t *testing.T) {
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	h := NewHandler(Config{Log: slog.New(slog.DiscardHandler), Tokens: tokens, Pages: Pages{Lab: &stubLab{}}}, Services{})
	token := func(roles ...auth.Role) string {
		token, _, err := tokens.Mint(auth.Caller{Customer: "c", Roles: roles}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	const load = `{"scenario":"uniform","rate":5,"duration":1}`
	for _, c := range []struct {
		name, method, token, body string
		status                    int
	}{
		{"without a token", http.MethodPost, "", load, http.StatusUnauthorized},
		{"a customer", http.MethodPost, token(), load, http.StatusForbidden},
		{"a customer reads", http.MethodGet, token(), "", http.StatusForbidden},
		{"who only reads starts", http.MethodPost, token(auth.OperatorRead), load, http.StatusForbidden},
		{"who only reads", http.MethodGet, token(auth.OperatorRead), "", http.StatusOK},
		{"no load", http.MethodPost, token(auth.Operator), "nonsense", http.StatusBadRequest},
		{"a load", http.MethodPost, token(auth.Operator), load, http.StatusOK},
		{"a second", http.MethodPost, token(auth.Operator), load, http.StatusConflict},
		{"its state", http.MethodGet, token(auth.Operator), "", http.StatusOK},
		{"its end", http.MethodDelete, token(auth.Operator), "", http.StatusOK},
	} {
		r := httptest.NewRequest(c.method, labPath, strings.NewReader(c.body))
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: status %d, want %d, body %s", c.name, w.Code, c.status, w.Body)
		}
	}
}

// TestLab_NotThere: a shop without a lab does not have the path.
func TestLab_NotThere(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, labPath, strings.NewReader("{}"))
	w := httptest.NewRecorder()
	pagesHandler(Pages{}).ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}
