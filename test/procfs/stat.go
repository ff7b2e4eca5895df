package procfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// tick is the unit of the times in /proc/PID/stat: Linux reports 100 to user space on every architecture with Go.
	tick = time.Second / 100
	// The fields of /proc/PID/stat behind the process name, counted from 0: see proc(5), which counts the pid as 1.
	userField, systemField = 11, 12
)

var errStat = errors.New("malformed stat file of a process")

// FS is a mounted proc file system. The zero value is that of this machine.
type FS struct{ Root string }

func (f FS) path(parts ...string) string {
	root := f.Root
	if root == "" {
		root = "/proc"
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// CPU returns the time that all threads of the process have spent in user and system mode. It has a resolution of 10 ms.
func (f FS) CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(f.path(strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(text))
}

// parseCPU parses a stat file. The process name is in parentheses and may contain both spaces and parentheses.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= systemField {
		return 0, errStat
	}
	var sum int64
	for _, i := range []int{userField, systemField} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errStat, err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}
