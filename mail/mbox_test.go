package mail

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// newMbox returns an mbox in a folder that does not exist yet.
func newMbox(t *testing.T) *Mbox {
	t.Helper()
	m := NewMbox(filepath.Join(t.TempDir(), "mail"), slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// mustSend sends the mails, all of which must be accepted.
func mustSend(t *testing.T, s Sender, mails ...Message) {
	t.Helper()
	for i, err := range s.Send(t.Context(), mails) {
		if err != nil {
			t.Errorf("%s: %v", mails[i].Name, err)
		}
	}
}

// readMbox returns the mails of a file in the mboxrd format, as a mail program does. A mail begins after a blank line or at the file's begin.
func readMbox(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var mails []string
	blank := true
	for line := range strings.Lines(string(raw)) {
		quoted := strings.HasPrefix(strings.TrimLeft(line, ">"), "From ")
		switch {
		case blank && strings.HasPrefix(line, "From "):
			mails = append(mails, "")
		case len(mails) == 0:
			t.Fatalf("%s begins with %q", path, line)
		case quoted && line[0] == '>':
			mails[len(mails)-1] += line[1:]
		default:
			mails[len(mails)-1] += line
		}
		blank = line == "\n"
	}
	for i := range mails {
		mails[i] = strings.TrimSuffix(mails[i], "\n")
	}
	return mails
}

func TestMbox_MailsAreReadBack(t *testing.T) {
	m, o := newMbox(t), newOrder(t)
	want := []Message{newConfirmation(t, o), composeMail(t, order.MailShipped, o, order.Money{})}
	mustSend(t, m, want[0])
	mustSend(t, m, want[1], Message{Name: "quoted", From: "<a@example.com>", Raw: []byte("X: y\n\nFrom me\n>From you\n>>From\n>>From all\n\nFrom here")})
	path := filepath.Join(m.dir, MboxName)
	got := readMbox(t, path)
	if len(got) != 3 || got[0] != string(want[0].Raw) || got[1] != string(want[1].Raw) {
		t.Fatalf("read %q", got)
	}
	if want := "X: y\n\nFrom me\n>From you\n>>From\n>>From all\n\nFrom here\n"; got[2] != want {
		t.Errorf("read %q; want %q", got[2], want)
	}
	if _, parts := readMail(t, []byte(got[0])); len(parts) != 2 {
		t.Errorf("the parts are %v", parts)
	}
	for _, path := range []string{m.dir, path} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read a customer's mail in %s: %v, %v", path, info.Mode(), err)
		}
	}
}

// TestMbox_TornMail: a crash cut off the last append anywhere. The next mail is whole, and so are those before the torn one.
func TestMbox_TornMail(t *testing.T) {
	o := newOrder(t)
	mails := []Message{newConfirmation(t, o), composeMail(t, order.MailShipped, o, order.Money{})}
	whole := appendMbox(nil, mails[0], time.Now())
	torn := appendMbox(nil, mails[1], time.Now())
	for cut := 1; cut < len(torn); cut += 97 {
		m := newMbox(t)
		if err := os.MkdirAll(m.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(m.dir, MboxName)
		if err := os.WriteFile(path, append(bytes.Clone(whole), torn[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		mustSend(t, m, mails[1])
		got := readMbox(t, path)
		if got[0] != strings.TrimSuffix(string(mails[0].Raw), "\n") && got[0] != string(mails[0].Raw) && !strings.HasPrefix(got[0], string(mails[0].Raw)) ||
			got[len(got)-1] != string(mails[1].Raw) {
			t.Fatalf("cut at %d, read %q", cut, got)
		}
	}
}

func TestMbox_Rotation(t *testing.T) {
	m, o := newMbox(t), newOrder(t)
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m.now = func() time.Time { at = at.Add(time.Second); return at }
	mail := newConfirmation(t, o)
	m.maxBytes = int64(len(mail.Raw))
	for range 3 {
		mustSend(t, m, mail)
	}
	files, err := filepath.Glob(filepath.Join(m.dir, "*.mbox"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v; want three", files, err)
	}
	for _, path := range files {
		if got := readMbox(t, path); len(got) != 1 || got[0] != string(mail.Raw) {
			t.Errorf("%s holds %q", path, got)
		}
	}
}

// TestMbox_SeveralWriters: processes that share a folder do not mix their mails, also while files are rotated.
func TestMbox_SeveralWriters(t *testing.T) {
	dir, o := filepath.Join(t.TempDir(), "mail"), newOrder(t)
	mail := newConfirmation(t, o)
	const writers, batches = 4, 25
	var wg sync.WaitGroup
	for range writers {
		m := NewMbox(dir, slog.New(slog.DiscardHandler))
		m.maxBytes = 20 * int64(len(mail.Raw))
		wg.Go(func() {
			for range batches {
				mustSend(t, m, mail, mail)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files, err := filepath.Glob(filepath.Join(dir, "*.mbox"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range files {
		for _, got := range readMbox(t, path) {
			n++
			if strings.TrimSpace(got) != strings.TrimSpace(string(mail.Raw)) {
				t.Fatalf("%s holds %q", path, got)
			}
		}
	}
	if n != writers*batches*2 {
		t.Errorf("%d mails in %d files; want %d", n, len(files), writers*batches*2)
	}
}

func TestMbox_FileIsDeleted(t *testing.T) {
	m, mail := newMbox(t), newConfirmation(t, newOrder(t))
	path := filepath.Join(m.dir, MboxName)
	mustSend(t, m, mail)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustSend(t, m, mail)
	if got := readMbox(t, path); len(got) != 1 {
		t.Errorf("read %q", got)
	}
}

func TestMbox_NotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := NewMbox(file, slog.New(slog.DiscardHandler))
	mail := newConfirmation(t, newOrder(t))
	for _, err := range m.Send(t.Context(), []Message{mail, mail}) {
		if err == nil {
			t.Error("a mail was accepted")
		}
	}
}
