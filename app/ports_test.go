package app

import (
	"log/slog"
	"testing"
	"time"
)

// TestRun_FailedPortEndsTheOthers: a process of which one port takes no requests any more ends with the error, instead of looking well.
func TestRun_FailedPortEndsTheOthers(t *testing.T) {
	const patience = 2 * time.Minute // a shutdown on a busy machine
	cfg := DefaultConfig(RoleAll)
	cfg.SQL.DataDir, cfg.HTTP.Listen, cfg.Admin.Listen = t.TempDir(), "127.0.0.1:0", ""
	cfg.Boutique = BoutiqueConfig{Enabled: true, Listen: "127.0.0.1:0"}
	a, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(t.Context()) }()
	if err := a.boutique.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the process ended without an error")
		}
	case <-time.After(patience):
		t.Error("the process goes on with one port less")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
