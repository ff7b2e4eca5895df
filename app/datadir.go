package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Modes of the data directory and of the files in it: customers' addresses and the key that signs tokens are for the shop's user only.
const (
	privateDir  fs.FileMode = 0o700
	privateFile fs.FileMode = 0o600
	anyOther    fs.FileMode = 0o077 // what users other than the owner may do
)

// mailDir is the directory of mails in the data directory.
const mailDir = "mail"

// ownDirs are the directories that a data directory may have: one with others in it is not the shop's alone, such as /var/lib.
var ownDirs = []string{mailDir, "lost+found"}

// openDataDir makes the data directory, or takes from other users what an older version or a umask gave them. It changes no directory in which others
// keep something, and goes on where another user owns it; the log has each change, and what stays open.
func openDataDir(ctx context.Context, dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, privateDir); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	if runtime.GOOS == "windows" {
		return nil // It has other permissions.
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	defer root.Close() //nolint:errcheck // It was only read.
	if err := closeDir(ctx, root, log); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	closePath(ctx, root, mailDir, privateDir, log)
	closeFiles(ctx, root, log)
	return nil
}

// closeFiles closes the files that the shop keeps in the data directory. Others in it are closed by the directory's mode.
func closeFiles(ctx context.Context, root *os.Root, log *slog.Logger) {
	for _, pattern := range []string{"spillway.db*", "spillway.lock", DevKey(""), mailDir + "/*"} {
		files, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			continue // No pattern is wrong.
		}
		for _, file := range files {
			closePath(ctx, root, file, privateFile, log)
		}
	}
}

// closeDir closes the data directory, unless others use it.
func closeDir(ctx context.Context, root *os.Root, log *slog.Logger) error {
	info, err := root.Stat(".")
	if err != nil || info.Mode().Perm()&anyOther == 0 {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	foreign := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() && !slices.Contains(ownDirs, e.Name()) })
	if foreign || info.Mode()&fs.ModeSticky != 0 {
		log.WarnContext(
			ctx,
			"the data directory is used for other things, too, and other users may enter it: name one of its own",
			"path",
			root.Name(),
			"mode",
			modeText(info),
		)
		return nil
	}
	closePath(ctx, root, ".", privateDir, log)
	return nil
}

// closePath gives a directory or regular file in the data directory the mode, if other users have rights on it. Symbolic links are not followed, neither at the
// end nor on the way: a user who could write to the directory before it was closed does not have root change what is elsewhere.
func closePath(ctx context.Context, root *os.Root, name string, mode fs.FileMode, log *slog.Logger) {
	path := filepath.Join(root.Name(), name)
	info, err := root.Lstat(name)
	if err != nil || info.Mode().Perm()&anyOther == 0 || info.IsDir() != (mode == privateDir) {
		return
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return
	}
	if err := root.Chmod(name, mode); err != nil {
		log.WarnContext(ctx, "other users may use the shop's data, and it cannot be closed", "path", path, "mode", modeText(info), "error", err)
		return
	}
	log.InfoContext(ctx, "closed the shop's data to other users", "path", path, "was", modeText(info), "is", fmt.Sprintf("%04o", mode))
}

func modeText(info fs.FileInfo) string { return fmt.Sprintf("%04o", info.Mode().Perm()) }

// createPrivate creates an empty file that only this user can use, unless the file exists. SQLite would create it by the umask; an empty file is a new
// database for it, and its journals get the mode of the file.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, privateFile)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
