package doctor

import "golang.org/x/sys/unix"

// clockSynced reads whether the kernel's clock is synchronised. Reading sets nothing.
func clockSynced() (synced, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err == nil
}

// diskSpace is the free and the total space of the file system, in bytes, for this user.
func diskSpace(path string) (free, total uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, 0, err
	}
	size := uint64(fs.Bsize) //nolint:gosec // A block's size is positive.
	return fs.Bavail * size, fs.Blocks * size, nil
}
