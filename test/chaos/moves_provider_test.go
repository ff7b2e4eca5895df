package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// outageTime is how long an external service is in trouble.
	outageTime = 20 * time.Second
	// outageFlap is how long a flapping one is down, and up.
	outageFlap = time.Second
	// chargedLater is by how much late charges are late: their orders are cancelled by then, after 5 s.
	chargedLater = 10 * time.Second
)

// outageScenarios are external services in trouble. They share nothing with the shop's parts, and no process is hurt.
func outageScenarios() []scenario {
	return []scenario{
		{name: "provider", moves: []move{
			outageMove("down", "was down", "provider down"),
			outageMove("unanswered", "charged without a response", "provider unanswered"),
			outageMove("slow", "was slow", "provider slow"),
			outageMove("silent", "did not respond", "provider silent"),
			outageMove("flapping", "was down and up each second", "provider down", ""),
			{kind: "late", name: "charged late", do: func(r *round) {
				r.outage("provider late " + chargedLater.String())
				r.pause(chargedLater)
			}},
		}},
		{name: "carrier", moves: []move{
			outageMove("slow", "was slow", "carrier slow"),
			outageMove("unanswered", "took parcels without a response", "carrier late"),
			outageMove("down", "was down", "carrier down"),
			outageMove("silent", "did not respond", "carrier silent"),
			outageMove("flapping", "was down and up each second", "carrier down", ""),
		}},
	}
}

// outageMove is an outage with the modes by turns.
func outageMove(kind, name string, modes ...string) move {
	return move{kind: kind, name: name, do: func(r *round) { r.outage(modes...) }}
}

// outage sets the modes of provider and carrier, by turns if there are several, and ends them.
func (r *round) outage(modes ...string) {
	turn := outageFlap
	if len(modes) == 1 {
		turn = r.atMost(outageTime)
	}
	for end, i := time.Now().Add(r.atMost(outageTime)), 0; time.Now().Before(end); i++ {
		r.setOutage(modes[i%len(modes)])
		r.pause(turn)
	}
	r.setOutage("")
}

// setOutage writes the file that all processes read. It is renamed, so that no half of it is read.
func (h *harness) setOutage(mode string) {
	h.t.Helper()
	err := os.WriteFile(h.outages+".next", []byte(mode+"\n"), 0o600)
	if err == nil {
		err = os.Rename(h.outages+".next", h.outages)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// openOutages gives all processes one carrier, which no kill makes forget anything, and the file of outages.
func (h *harness) openOutages() {
	h.t.Helper()
	dir := h.t.TempDir()
	h.outages = filepath.Join(dir, "outages")
	path := filepath.Join(dir, "carrier.db")
	h.env = append(h.env, "SPILLWAY_SIMULATE_OUTAGES="+h.outages, "SPILLWAY_SIMULATE_CARRIER_FILE="+path)
	var err error
	if h.parcels, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = h.parcels.Close() })
}

// carrierAgrees: the carrier has a parcel of each order that is SHIPPED, and of no other one.
func (h *harness) carrierAgrees(ctx context.Context, _ *market) (out []violation, err error) {
	const rule = "the carrier has the shipped parcels"
	tracking := map[order.ID]string{}
	err = each(ctx, h.parcels, "SELECT order_id, tracking_id FROM parcels", func(rows *sql.Rows) error {
		var id order.ID
		var tracked string
		err := rows.Scan(&id, &tracked)
		tracking[id] = tracked
		return err
	})
	if err != nil && strings.Contains(err.Error(), "no such table") { // No process has opened it yet.
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask the carrier: %w", err)
	}
	err = each(ctx, h.db, fmt.Sprintf("SELECT id, tracking_id FROM orders WHERE state = %d", order.Shipped), func(rows *sql.Rows) error {
		var id order.ID
		var tracked string
		if err := rows.Scan(&id, &tracked); err != nil {
			return err
		}
		if tracking[id] != tracked {
			out = append(out, violation{rule, string(id), fmt.Sprintf("the carrier has %q, and the order %q", tracking[id], tracked)})
		}
		delete(tracking, id)
		return nil
	})
	for id := range tracking {
		out = append(out, violation{rule, string(id), "the carrier has its parcel, and it is not SHIPPED"})
	}
	return out, err
}
