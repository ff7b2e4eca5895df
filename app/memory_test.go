package app

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestTuneMemory_EnvironmentComesFirst(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	for name, c := range map[string]struct {
		gogc, gomemlimit string
		percent          int
		limit            int64
	}{
		"neither": {"", "", gcPercent, maxMemoryLimit},
		"GOGC":    {"50", "", 77, maxMemoryLimit},
		"limit":   {"", "1GiB", gcPercent, math.MaxInt64},
		"both":    {"off", "off", 77, math.MaxInt64},
	} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", c.gomemlimit)
		debug.SetGCPercent(77)
		debug.SetMemoryLimit(math.MaxInt64)
		tuneMemory(fstest.MapFS{})
		if got := debug.SetGCPercent(77); got != c.percent {
			t.Errorf("%s: the percentage is %d; want %d", name, got, c.percent)
		}
		if got := debug.SetMemoryLimit(-1); got != c.limit {
			t.Errorf("%s: the limit is %d; want %d", name, got, c.limit)
		}
	}
}

// TestMemoryLimit_Container: a process in a container with less memory than maxMemoryLimit is killed at the container's limit, so that the
// collector must run more often before that.
func TestMemoryLimit_Container(t *testing.T) {
	const mib = 1 << 20
	v1 := "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no Linux":                       {nil, maxMemoryLimit},
		"version 2, container":           {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 * mib / 100 * 80},
		"version 2, no limit":            {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, maxMemoryLimit},
		"version 2, more than the bound": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4294967296\n"}, maxMemoryLimit},
		"version 2, limit of a group above": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/spillway.service\n", "sys/fs/cgroup/system.slice/memory.max": "104857600\n",
			"sys/fs/cgroup/system.slice/spillway.service/memory.max": "max\n",
		}, 100 * mib / 100 * 80},
		"version 1, path of the host": {map[string]string{
			"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
		}, 128 * mib / 100 * 80},
		"version 1, group": {map[string]string{
			"proc/self/cgroup": v1, "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "134217728\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 128 * mib / 100 * 80},
		"version 1, no limit":      {map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, maxMemoryLimit},
		"outside of the namespace": {map[string]string{"proc/self/cgroup": "0::/../other\n", "sys/fs/cgroup/memory.max": "104857600\n"}, 100 * mib / 100 * 80},
		"no group":                 {map[string]string{"proc/self/cgroup": "nonsense\n"}, maxMemoryLimit},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != c.want {
			t.Errorf("%s: the limit is %d MiB; want %d", name, got/mib, c.want/mib)
		}
	}
}
