package realparts

import (
	"strings"
	"testing"
)

// field returns a field of INFO.
func (r *OldRedis) field(section, name string) string {
	r.t.Helper()
	for line := range strings.Lines(r.must("INFO", section)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	r.t.Fatalf("INFO %s has no %s", section, name)
	return ""
}

func TestOldRedis_RestartFromCopy(t *testing.T) {
	r := StartOldRedis(t)
	r.must("SET", "k", "old")
	r.Copy()
	r.must("SET", "k", "new")
	before := r.field("server", "run_id")
	r.RestartFromCopy()
	if got := r.must("GET", "k"); got != "old" {
		t.Errorf("k is %q; want the value at the copy", got)
	}
	if after := r.field("server", "run_id"); after == before {
		t.Error("the run_id stayed over a restart")
	}
}

// TestOldRedis_PromotedAgain covers a resync from an older one, in the same process with the same run_id.
func TestOldRedis_PromotedAgain(t *testing.T) {
	r, other := StartOldRedis(t), StartOldRedis(t)
	r.must("SET", "k", "old")
	other.Follow(r)
	other.Promote()
	r.must("SET", "k", "new")
	run, replication := r.field("server", "run_id"), r.field("replication", "master_replid")
	r.Follow(other)
	r.Promote()
	if got := r.must("GET", "k"); got != "old" {
		t.Errorf("k is %q; want the value of the older one", got)
	}
	if r.field("server", "run_id") != run || r.field("replication", "master_replid") == replication {
		t.Error("the run_id changed or the replication id stayed")
	}
	r.must("SET", "k", "newest")
}
