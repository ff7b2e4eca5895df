package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/load"
)

const (
	// maxLabRate bounds a load of the lab, in arrivals a second: the generator shares the process, and the cores, with the shop.
	maxLabRate = 500
	// maxLabSeconds bounds its duration.
	maxLabSeconds = 120
	// labInFlight is how many of its arrivals may be under way at once.
	labInFlight = 500
	// labSettleWait is how long it waits until accepted orders are shipped.
	labSettleWait = 30 * time.Second
)

// lab runs one load at a time, in this process. Its zero value is not usable; newLab makes one.
type lab struct {
	ctx      context.Context
	url      string
	operator func() (string, error)

	mu    sync.Mutex
	state labState
	stop  context.CancelFunc // nil while no load runs
}

// labState is what the console shows.
type labState struct {
	Running bool          `json:"running"`
	Phase   string        `json:"phase,omitempty"` // the newest line of progress
	Load    *app.LabLoad  `json:"load,omitempty"`
	Figures *load.Figures `json:"figures,omitempty"`
	Verdict load.Status   `json:"verdict,omitempty"`
	Result  *load.Result  `json:"result,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// newLab returns a lab whose loads end with ctx.
func newLab(ctx context.Context, url string, operator func() (string, error)) app.Lab {
	return &lab{ctx: ctx, url: url, operator: operator}
}

// Start starts a load.
func (l *lab) Start(req app.LabLoad) error {
	cfg, err := l.config(req)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		return app.ErrLabBusy
	}
	ctx, stop := context.WithCancel(l.ctx)
	l.stop, l.state = stop, labState{Running: true, Load: &req, Phase: "starting"}
	go l.run(ctx, cfg)
	return nil
}

func (l *lab) config(req app.LabLoad) (load.Config, error) {
	if req.Rate > maxLabRate || req.Duration > maxLabSeconds {
		return load.Config{}, fmt.Errorf("take at most %d arrivals a second, for %d seconds", maxLabRate, maxLabSeconds)
	}
	token, err := l.operator()
	if err != nil {
		return load.Config{}, err
	}
	cfg := load.Config{
		URL: l.url, Rate: req.Rate, Duration: time.Duration(req.Duration) * time.Second, Arrivals: load.Poisson, Scenario: req.Scenario, Stock: req.Stock,
		MaxInFlight: labInFlight, Retries: 3, Card: "4242424242424242", Token: token, SettleWait: labSettleWait,
	}
	err = cfg.Validate()
	return cfg, err
}

func (l *lab) run(ctx context.Context, cfg load.Config) {
	progress := &load.Progress{
		W:         lineWriter(func(line string) { l.change(func(s *labState) { s.Phase = line }) }),
		OnFigures: func(f load.Figures) { l.change(func(s *labState) { s.Figures = &f }) },
	}
	res, err := load.Run(ctx, cfg, load.Dial(l.url, labInFlight), progress)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.stop, l.state.Running, l.state.Phase = nil, false, ""
	if err != nil {
		l.state.Error = err.Error()
		return
	}
	l.state.Result, l.state.Verdict = res, res.Verdict()
}

// Stop ends the load.
func (l *lab) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		l.stop()
	}
}

// State returns a copy.
func (l *lab) State() any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

func (l *lab) change(f func(*labState)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.state)
}

// lineWriter gets each line that is written to it, which load.Progress writes at once.
type lineWriter func(line string)

func (w lineWriter) Write(p []byte) (int, error) {
	w(strings.TrimPrefix(strings.TrimSpace(string(p)), "spillway load: "))
	return len(p), nil
}
