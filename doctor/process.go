package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var processChecks = []Check{
	{"process.clock", "The kernel's clock is synchronised.", nil, checkClock},
	{"process.open-files", "The limit of open files (RLIMIT_NOFILE) has room for all connections.", nil, checkOpenFiles},
	{"process.memory", "GOMEMLIMIT is below the memory that the container has.", nil, checkMemory},
	{"process.data-dir", "The data directory exists or can be made, is writable, and only its user reads it.", nil, checkDataDir},
	{"process.disk", "The disk of the data directory has room.", []string{"process.data-dir"}, checkDisk},
	{"process.secret-files", "Files of secrets are read by their user only.", nil, checkSecretFiles},
	{"process.auth-key", "The key that signs tokens cannot be guessed.", nil, checkAuthKey},
	{"process.listen", "The API's port is free, or this shop listens on it.", nil, checkListen},
	{"process.admin", "The admin port is free or used by a shop, and reached from this machine only.", nil, checkAdmin},
	{
		"process.internal",
		"The port for other processes (`--internal-listen`) is free or used by a shop, and encrypted if other machines reach it.",
		nil,
		checkInternal,
	},
	{"process.online-boutique", "The port for clients of Online Boutique is free or used by a shop, and reached from this machine only.", nil, checkBoutique},
	{"process.tls", "Cards and tokens do not travel to the API in plain text.", nil, checkPlainAPI},
	{"process.certificates", "The certificates of the ports are valid for two weeks more, and only their user reads the keys.", nil, checkCertificates},
	{"process.cors", "Pages of named HTTPS origins may call the API, and no others.", nil, checkOrigins},
	{"process.proxies", "Only proxies are believed when they name a client's address.", nil, checkProxies},
}

func sprint(v any) string { return fmt.Sprint(v) }

func checkClock(_ context.Context, s *session) Result {
	synced, known := s.machine.clockSynced()
	switch {
	case !known:
		return unused("the kernel does not tell whether its clock is synchronised")
	case !synced:
		return warn("`timedatectl set-ntp true`, or start chronyd; in a container, on its host", "the kernel's clock is not synchronised")
	}
	return ok("the kernel's clock is synchronised")
}

func checkOpenFiles(_ context.Context, s *session) Result {
	p := s.cfg.Process
	need := p.Connections + p.OtherFiles
	found := fmt.Sprintf("up to %d files may be open, and up to %d are wanted (%d connections of the API's port)", p.Files, need, p.Connections)
	fix := fmt.Sprintf("raise the limit: `ulimit -n %d`, or LimitNOFILE=%d in the systemd unit; or lower --max-connections", need, need)
	switch {
	case p.Files < 2*p.OtherFiles:
		return fail(fix, "%s", found)
	case p.Files < need:
		return warn(fix, "%s: the port gets fewer", found)
	}
	return ok("%s", found)
}

// noMemoryLimit is beyond every machine's memory in bytes: control groups of version 1 have such a number instead of no limit.
const noMemoryLimit = 1 << 60

// memoryPercent is the part of a container's memory that the garbage collector may keep to at most: the rest is for what it does not count.
const memoryPercent = 90

func checkMemory(_ context.Context, s *session) Result {
	limit, container := s.cfg.Process.MemoryLimit, s.cfg.Process.ContainerMemory
	if container >= noMemoryLimit {
		return ok("the container has no memory limit; the garbage collector keeps to %s", bytesText(limit))
	}
	found := fmt.Sprintf("the container has %s, and the garbage collector keeps to %s", bytesText(container), bytesText(limit))
	fix := fmt.Sprintf("unset GOMEMLIMIT, which then is 80 %% of the container's memory, or set GOMEMLIMIT=%dMiB", container/100*80>>20)
	switch {
	case limit > container:
		return fail(fix, "%s: the kernel ends the process before it collects", found)
	case limit > container/100*memoryPercent:
		return warn(fix, "%s", found)
	}
	return ok("%s", found)
}

// Permissions of files that others read, or change.
const (
	othersRead fs.FileMode = 0o004
	anyOther   fs.FileMode = 0o077
)

func checkDataDir(_ context.Context, s *session) Result {
	dir := s.cfg.Process.DataDir
	if dir == "" {
		return unused("this process keeps no files")
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkParent(dir)
	case err != nil:
		return fail("name a directory that this user may use: --data-dir (SPILLWAY_DATA_DIR)", "%v", err)
	case !info.IsDir():
		return fail("name a directory: --data-dir (SPILLWAY_DATA_DIR)", "%s is no directory", dir)
	case !writable(dir):
		return fail(fmt.Sprintf("give it to the user of the process: `chown -R %d %s`", os.Getuid(), dir), "%s cannot be written by this user", dir)
	}
	if open := openFiles(s.cfg.Process, info.Mode()); len(open) > 0 {
		return fail(fmt.Sprintf("close them: `chmod 700 %s`, and `chmod 600` for the files in it", dir), "others may read or change %s", strings.Join(open, ", "))
	}
	if info.Mode().Perm()&anyOther != 0 {
		return warn(fmt.Sprintf("`chmod 700 %s`", dir), "others may look into %s (%o), whose files are closed", dir, info.Mode().Perm())
	}
	return ok("%s is for its user only", dir)
}

// checkParent is for a data directory that a start would make.
func checkParent(dir string) Result {
	parent := filepath.Dir(dir)
	for ; parent != filepath.Dir(parent); parent = filepath.Dir(parent) {
		if _, err := os.Stat(parent); err == nil {
			break
		}
	}
	if !writable(parent) {
		return fail("make it for the user of the process, or name another: --data-dir (SPILLWAY_DATA_DIR)", "%s does not exist, and this user cannot make it", dir)
	}
	return blocked("%s does not exist yet; a start makes it", dir)
}

// openFiles lists the files in the data directory that others may use.
func openFiles(p Process, dir fs.FileMode) (open []string) {
	for _, pattern := range []string{"spillway.db*", filepath.Base(p.KeyFile), filepath.Join("mail", "*")} {
		files, err := filepath.Glob(filepath.Join(p.DataDir, pattern))
		if err != nil {
			continue // The pattern is fixed but for the directory; one with brackets is not looked at.
		}
		for _, f := range files {
			// In a directory that only its user enters, others reach no file; the key is closed in any case.
			private := dir.Perm()&anyOther == 0 && f != p.KeyFile
			if info, err := os.Stat(f); err == nil && !private && info.Mode().IsRegular() && info.Mode().Perm()&anyOther != 0 {
				open = append(open, fmt.Sprintf("%s (%o)", f, info.Mode().Perm()))
			}
		}
	}
	return open
}

const (
	// diskFail and diskWarn are the free space in bytes below which a shop on embedded storage soon stops, or may within days.
	diskFail = 256 << 20
	diskWarn = 2 << 30
)

func checkDisk(_ context.Context, s *session) Result {
	dir := s.cfg.Process.DataDir
	if dir == "" {
		return unused("this process keeps no files")
	}
	free, total, err := s.machine.diskSpace(dir)
	if err != nil {
		return unused("the space of %s cannot be read: %v", dir, err)
	}
	found := fmt.Sprintf("%s free of %s", bytesText(free), bytesText(total))
	const fix = "make room on it, or name a directory on another disk: --data-dir (SPILLWAY_DATA_DIR)"
	switch {
	case free < diskFail:
		return fail(fix, "%s", found)
	case free < diskWarn:
		return warn(fix, "%s", found)
	}
	return ok("%s", found)
}

func checkSecretFiles(_ context.Context, s *session) Result {
	files := s.cfg.Process.SecretFiles
	if len(files) == 0 {
		return unused("no secret is read from a file")
	}
	var open []string
	for _, flag := range slices.Sorted(maps.Keys(files)) {
		info, err := os.Stat(files[flag])
		if err == nil && info.Mode().Perm()&othersRead != 0 {
			open = append(open, fmt.Sprintf("%s (%s, %o)", files[flag], flag, info.Mode().Perm()))
		}
	}
	if len(open) > 0 {
		return warn(
			"close them: `chmod 600 FILE`, or in Kubernetes `defaultMode: 0400` of the volume",
			"everyone on the machine may read %s",
			strings.Join(open, ", "),
		)
	}
	return ok("%d files are not readable for everyone", len(files))
}
