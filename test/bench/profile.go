package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// profileSlack is how much longer than its profile a download may take.
const profileSlack = 10 * time.Second

// profiler downloads CPU profiles of a shop's processes from their admin addresses, if the run keeps profiles.
type profiler struct {
	run   *run
	build *build
	addrs map[string]string // the admin address by process name
	wg    sync.WaitGroup
	mu    sync.Mutex // guards run.notes
}

// setting returns the setting that gives a process an admin address; none without --profiles.
func (p *profiler) setting(process string) []string {
	if p.run.cmd.Profiles == "" {
		return nil
	}
	addr, err := freeAddr()
	if err != nil {
		p.run.note(err.Error())
		return nil
	}
	p.addrs[process] = addr
	return []string{"admin=" + addr}
}

// start begins a profile of each process that runs, for as long as a measurement takes. It returns at once.
func (p *profiler) start(ctx context.Context, row string) {
	for process, addr := range p.addrs {
		p.wg.Go(func() {
			file := filepath.Join(p.run.cmd.Profiles, fmt.Sprintf("%s-%s-%s.pprof", row, p.build.name, process))
			if err := download(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, p.run.cmd.Seconds), file,
				time.Duration(p.run.cmd.Seconds)*time.Second+profileSlack); err != nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.run.note(fmt.Sprintf("no profile of %s in %s: %v", process, row, err))
			}
		})
	}
}

// wait returns when the files are written.
func (p *profiler) wait() { p.wg.Wait() }

// download writes the body of a response to a file.
func download(ctx context.Context, url, file string, limit time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return f.Close()
}
