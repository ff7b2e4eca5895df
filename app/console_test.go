package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/app"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// TestConsoleLink_LogsAnOperatorIn: the token of the link may do what an operator may.
func TestConsoleLink_LogsAnOperatorIn(t *testing.T) {
	a, _ := start(t, embedded(t), slog.New(slog.NewTextHandler(io.Discard, nil)))
	link, err := a.ConsoleLink()
	page, token, ok := strings.Cut(link, "#token=")
	if err != nil || !ok || page != a.URL()+"/ops" {
		t.Fatalf("the link is %q, error %v", link, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+token)
	letters := spillwayv1connect.NewDeadLetterServiceClient(http.DefaultClient, a.URL())
	if _, err := letters.ListDeadLetters(ctx, &spillwayv1.ListDeadLettersRequest{}); err != nil {
		t.Errorf("an operator's call with its token: %v", err)
	}
}

// TestConsoleLink_ForDevelopmentOnly: a shop with a key of its own, or that others reach, prints no token.
func TestConsoleLink_ForDevelopmentOnly(t *testing.T) {
	for name, change := range map[string]func(c *app.Config){
		"a key of its own":     func(c *app.Config) { c.Auth.Key = strings.Repeat("k", 32) },
		"reachable for others": func(c *app.Config) { c.HTTP.Listen = "0.0.0.0:0" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := embedded(t)
			change(&cfg)
			a, _ := start(t, cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
			if link, err := a.ConsoleLink(); link != "" || err != nil {
				t.Errorf("it prints %q, error %v", link, err)
			}
		})
	}
}
