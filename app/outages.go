package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	providers "github.com/spillway/spillway/payment/simulated"
	carriers "github.com/spillway/spillway/shipping/simulated"
)

// outagesInterval is the time between two reads of the file of outages.
const outagesInterval = 100 * time.Millisecond

// outages sets how the simulated external services respond, by a file that tests change while the shop runs. Its lines are "provider MODE" and
// "carrier MODE"; "provider late DURATION" also sets how late cards are charged. Services without a line, or without a file, are ok. A process
// that has no provider, or no carrier, ignores their lines.
type outages struct {
	path     string
	provider *providers.Provider
	carrier  *carriers.Carrier
	log      *slog.Logger
}

// run reads the file until ctx ends.
func (o *outages) run(ctx context.Context) {
	if o.provider == nil && o.carrier == nil {
		return
	}
	tick := time.NewTicker(outagesInterval)
	defer tick.Stop()
	for last := ""; ; {
		text, err := os.ReadFile(o.path)
		if now := string(text); err == nil && now != last {
			last = now
			if err := o.apply(now); err != nil {
				o.log.WarnContext(ctx, "file of outages", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// apply sets the modes of the text. It returns an error for a line that it does not know, and applies the others.
func (o *outages) apply(text string) (err error) {
	provider, carrier := providers.OK, carriers.OK
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case len(words) >= 2 && words[0] == "provider" && slices.Contains(providers.Modes, providers.Mode(words[1])):
			provider = providers.Mode(words[1])
			if late, perr := time.ParseDuration(strings.Join(words[2:], "")); perr == nil && o.provider != nil {
				o.provider.SetLate(late)
			}
		case len(words) == 2 && words[0] == "carrier" && slices.Contains(carriers.Modes, carriers.Mode(words[1])):
			carrier = carriers.Mode(words[1])
		default:
			err = fmt.Errorf("--simulate-outages: unknown line %q", strings.TrimSpace(line))
		}
	}
	if o.provider != nil {
		o.provider.SetMode(provider)
	}
	if o.carrier != nil {
		o.carrier.SetMode(carrier)
	}
	return err
}
