package app

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent lets the heap grow to five times of what is live before it is collected: the live heap of a process is some 20 MB, and most of
	// what an order allocates is garbage when it is answered. It costs memory, which maxMemoryLimit bounds, and saves half of the collector's work.
	gcPercent = 400
	// maxMemoryLimit is how much memory, in bytes, the process may take before the garbage collector runs more often than that. It is no hard limit.
	maxMemoryLimit = 512 << 20
	// containerPercent is the part of the container's memory, in percent, that may be used before that. The rest is for what the collector
	// does not count and for what is allocated while it runs: beyond the container's limit the kernel kills the process.
	containerPercent = 80
	// cgroupRoot is where the kernel's control groups are mounted.
	cgroupRoot = "sys/fs/cgroup"
)

// tuneMemory sets the garbage collector of the process, unless the environment does (GOGC, GOMEMLIMIT). root is the file system with the
// limit of the container.
func tuneMemory(root fs.FS) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(root))
	}
}

// memoryLimit is maxMemoryLimit, or containerPercent of the memory of a container that has less than that.
func memoryLimit(root fs.FS) int64 {
	return min(maxMemoryLimit, cgroupMemory(root)/100*containerPercent)
}

// cgroupMemory is the lowest memory limit, in bytes, of the control groups of this process and of those above them, in either version of
// control groups; math.MaxInt64 without any.
func cgroupMemory(root fs.FS) int64 {
	limit := int64(math.MaxInt64)
	list, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil { // It is not Linux.
		return limit
	}
	for line := range strings.Lines(string(list)) {
		// ID:CONTROLLERS:PATH. Version 2 has one line, without controllers.
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[1] == "":
			limit = min(limit, lowestLimit(root, cgroupRoot, fields[2], "memory.max"))
		case fields[1] == "memory":
			limit = min(limit, lowestLimit(root, cgroupRoot+"/memory", fields[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// lowestLimit is the lowest number in the file of a group and of the groups above it. In a container the path may be that of the host, and
// only the file of the mount's root exists.
func lowestLimit(root fs.FS, mount, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		text, err := fs.ReadFile(root, path.Join(mount, group, file))
		if err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil { // It is "max" without a limit.
				limit = min(limit, n)
			}
		}
		if group == "/" {
			return limit
		}
	}
}
