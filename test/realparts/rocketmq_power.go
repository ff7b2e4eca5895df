package realparts

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

const (
	// tornPage is the size of a page of the page cache, which a disk has as a whole or not at all after a power cut.
	tornPage = 4096
	// tornPages is the number of pages before the end of the commit log's last page of data, of which one is lost as well:
	// the kernel writes pages in any order.
	tornPages = 4
)

// Broker is a RocketMQ broker that can come back with the files of an earlier time, as after a power cut: it answers
// before its files are on the disk (ASYNC_FLUSH), and marks a start after an abnormal end by a file.
type Broker struct {
	*Proc

	dir string // with its files in dir/store
}

// HasMessages reports whether the broker has accepted any.
func (b *Broker) HasMessages() bool {
	files, err := filepath.Glob(filepath.Join(b.dir, "store", "commitlog", "*"))
	return err == nil && len(files) > 0
}

// Copy copies the files of the running broker.
func (b *Broker) Copy() {
	b.t.Helper()
	if err := os.RemoveAll(b.copied()); err != nil {
		b.t.Fatal(err)
	}
	// Mapped files are mostly holes.
	if out, err := output(os.Environ(), "cp", "-a", "--sparse=always", filepath.Join(b.dir, "store"), b.copied()); err != nil {
		b.t.Fatalf("copy the broker's files: %v\n%s", err, out)
	}
}

// RestartFromCopy kills the broker and starts it with the files of Copy, of which one page of the commit log is missing. It
// then has lost what it accepted and what was acknowledged since, and recovers as after a power cut.
func (b *Broker) RestartFromCopy() {
	b.t.Helper()
	b.Kill9()
	store := filepath.Join(b.dir, "store")
	if _, err := os.Stat(filepath.Join(b.copied(), "abort")); err != nil {
		b.t.Fatalf("the copy does not look like one of a broker that ran: %v", err)
	}
	err := errors.Join(os.RemoveAll(store), os.Rename(b.copied(), store), tearPage(filepath.Join(store, "commitlog")))
	if err != nil {
		b.t.Fatalf("replace the broker's files: %v", err)
	}
	b.Restart()
}

func (b *Broker) copied() string { return filepath.Join(b.dir, "store-copy") }

// tearPage overwrites a page with zeros, shortly before the end of the data in the newest file of the log.
func tearPage(log string) error {
	files, err := filepath.Glob(filepath.Join(log, "*"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("there is no commit log"))
	}
	newest := files[len(files)-1]
	data, err := os.ReadFile(newest)
	if err != nil {
		return err
	}
	last := (len(bytes.TrimRight(data, "\x00")) - 1) / tornPage
	if last < tornPages {
		return nil
	}
	f, err := os.OpenFile(newest, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, tornPage), int64(last-tornPages)*tornPage)
	return errors.Join(err, f.Close())
}
