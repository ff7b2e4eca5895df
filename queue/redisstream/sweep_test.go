package redisstream_test

import (
	"os"
	"slices"
	"testing"

	"github.com/redis/rueidis"
)

// TestSweep_OnlyIdleWithoutPending runs the script by itself, because the adapter sweeps consumers that are idle for an
// hour.
func TestSweep_OnlyIdleWithoutPending(t *testing.T) {
	source, err := os.ReadFile("lua/sweep.lua")
	if err != nil {
		t.Fatal(err)
	}
	sweep := rueidis.NewLuaScript(string(source))
	onBoth(t, func(t *testing.T, client rueidis.Client) {
		for _, args := range [][]string{
			{"XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"},
			{"XGROUP", "CREATECONSUMER", "s", "g", "holds"},
			{"XGROUP", "CREATECONSUMER", "s", "g", "silent"},
			{"XADD", "s", "*", "b", "x"},
			{"XREADGROUP", "GROUP", "g", "holds", "STREAMS", "s", ">"},
		} {
			if err := client.Do(t.Context(), client.B().Arbitrary(args...).Build()).Error(); err != nil {
				t.Fatalf("%v: %v", args, err)
			}
		}
		for _, step := range []struct {
			silentMillis string
			want         []string
		}{{"3600000", []string{"holds", "silent"}}, {"-2", []string{"holds"}}} {
			if err := sweep.Exec(t.Context(), client, []string{"s"}, []string{"g", step.silentMillis}).Error(); err != nil {
				t.Fatalf("sweep: %v", err)
			}
			if got := consumers(t, client); !slices.Equal(got, step.want) {
				t.Errorf("after a sweep of who was silent for %s ms: %v, want %v", step.silentMillis, got, step.want)
			}
		}
	})
}

func consumers(t *testing.T, client rueidis.Client) []string {
	t.Helper()
	rows, err := client.Do(t.Context(), client.B().XinfoConsumers().Key("s").Group("g").Build()).ToArray()
	if err != nil {
		t.Fatalf("XINFO CONSUMERS: %v", err)
	}
	var names []string
	for _, row := range rows {
		fields, err := row.AsMap()
		if err != nil {
			t.Fatalf("XINFO CONSUMERS: %v", err)
		}
		name := fields["name"]
		s, err := name.ToString()
		if err != nil {
			t.Fatalf("XINFO CONSUMERS: %v", err)
		}
		names = append(names, s)
	}
	slices.Sort(names)
	return names
}
