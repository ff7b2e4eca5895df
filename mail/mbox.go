package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// MboxName is the name of the file that Mbox appends to.
	MboxName = "mails.mbox"
	// maxMboxBytes is the size at which a new file begins: about 15,000 mails, which mail programs open within a second.
	maxMboxBytes = 64 << 20
)

// Mbox is a Sender that appends mails to an mbox file, for development. The format is mboxrd, which mutt, Thunderbird and others read. A
// file of maxMboxBytes is renamed to mails-TIME-PID.mbox, and a new one begins. Files are readable by the process's user only.
//
// Each batch is one write. Mails are not synced to disk: after a power cut the last ones may be missing. A mail that was torn by a crash
// stays as it is, and the next one begins on a line of its own. Mbox is safe for concurrent use; several processes may append to one folder.
type Mbox struct {
	dir string
	log *slog.Logger

	mu sync.Mutex
	// file is open for appending, or nil before the first mail and after a failed write.
	file *os.File
	// maxBytes is maxMboxBytes, except in tests.
	maxBytes int64
	now      func() time.Time
}

// NewMbox returns a Sender that appends to MboxName in the folder. The folder is created with the first mail.
func NewMbox(dir string, log *slog.Logger) *Mbox {
	return &Mbox{dir: dir, log: log, maxBytes: maxMboxBytes, now: time.Now}
}

// Send appends the mails with one write. All of them fail if that fails.
func (m *Mbox) Send(ctx context.Context, mails []Message) []error {
	size := 0
	for _, mail := range mails {
		size += len(mail.Raw) + mboxBytes
	}
	batch := make([]byte, 0, size)
	for _, mail := range mails {
		batch = appendMbox(batch, mail, m.now())
	}
	if err := m.append(batch); err != nil {
		return failAll(len(mails), fmt.Errorf("append to %s: %w", MboxName, err))
	}
	m.log.DebugContext(ctx, "appended mails to mbox", "mails", len(mails), "bytes", len(batch))
	return make([]error, len(mails))
}

// append writes the batch to the end of the file. After a failed write the file is opened again, which ends a torn mail.
func (m *Mbox) append(batch []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.open(); err != nil {
		return err
	}
	if _, err := m.file.Write(batch); err != nil {
		return errors.Join(err, m.close())
	}
	return nil
}

// open opens the file unless it is open, and begins a new one if it is full.
func (m *Mbox) open() error {
	path := filepath.Join(m.dir, MboxName)
	if m.file != nil {
		current, err := m.isCurrent(path)
		if err != nil || current {
			return err
		}
		if err := m.close(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() >= m.maxBytes {
		// Another process may have renamed it in between.
		if err := os.Rename(path, m.rotatedPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	m.file = file
	if err := endTornMail(file); err != nil {
		return errors.Join(err, m.close())
	}
	return nil
}

// isCurrent reports whether the open file has room and is still the one at the path. Another process may have renamed it, or a user may
// have deleted it: then a new one begins.
func (m *Mbox) isCurrent(path string) (bool, error) {
	opened, err := m.file.Stat()
	if err != nil || opened.Size() >= m.maxBytes {
		return false, err
	}
	current, err := os.Stat(path)
	return err == nil && os.SameFile(opened, current), nil
}

// rotatedPath returns the path of a full file, such as mails-20261128T120000.000000000-4711.mbox. It contains the process id, because a rename
// replaces a file of the same name.
func (m *Mbox) rotatedPath() string {
	return filepath.Join(m.dir, fmt.Sprintf("mails-%s-%d.mbox", m.now().UTC().Format("20060102T150405.000000000"), os.Getpid()))
}

// endTornMail appends the blank line that ends each mail, if it is missing because a crash tore the last append. The torn mail was not
// recorded as sent, so that it is sent again. It is kept because a mail program may have changed the file.
func endTornMail(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	end := make([]byte, min(int64(len(mboxEnd)), info.Size()))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil {
		return err
	}
	if string(end) == mboxEnd {
		return nil
	}
	_, err = f.WriteString(mboxEnd)
	return err
}

// Close closes the file. A later Send opens it again.
func (m *Mbox) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.close()
}

func (m *Mbox) close() error {
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file = nil
	return err
}

const (
	// mboxEnd ends each mail: the end of its last line, and a blank line.
	mboxEnd = "\n\n"
	// mboxBytes is what the format adds to a mail: the line "From SENDER TIME", and some ">".
	mboxBytes = 128
)

// appendMbox appends the mail in the mboxrd format: a line "From SENDER TIME", the mail, and a blank line. A line of the mail that begins
// with "From ", after any number of ">", gets another ">".
func appendMbox(dst []byte, mail Message, at time.Time) []byte {
	dst = append(dst, "From "...)
	dst = append(dst, bytes.Trim([]byte(mail.From), "<>")...)
	dst = at.UTC().AppendFormat(append(dst, ' '), time.ANSIC)
	dst = append(dst, '\n')
	for rest := mail.Raw; len(rest) > 0; {
		var line []byte
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			line, rest = rest[:end+1], rest[end+1:]
		} else {
			line, rest = rest, nil
		}
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			dst = append(dst, '>')
		}
		dst = append(dst, line...)
	}
	if !bytes.HasSuffix(dst, []byte{'\n'}) {
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}
