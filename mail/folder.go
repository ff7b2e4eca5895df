package mail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"

	gomail "github.com/wneessen/go-mail"

	"github.com/spillway/spillway/order"
)

// Folder is a Sender that writes mails to a folder as .eml files, for trying and developing.
type Folder struct {
	Path string
	Log  *slog.Logger
}

// mailNames are the names that Folder takes: nothing in them leads out of the folder or hides the file.
var mailNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Send writes the mail to NAME.eml, whole or not at all. Only the shop's own user may read it. A name that is no plain file name is
// order.ErrInvalid.
func (f Folder) Send(ctx context.Context, m *gomail.Msg, name string) error {
	if !mailNames.MatchString(name) {
		return fmt.Errorf("a mail cannot be called %.140q: take up to 128 letters, digits, '.', '-' or '_': %w", name, order.ErrInvalid)
	}
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return fmt.Errorf("mail folder: %w", err)
	}
	path := filepath.Join(f.Path, name+".eml")
	if err := f.write(m, path); err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	f.Log.InfoContext(ctx, "mail written", "path", path)
	return nil
}

// write goes through a file of its own: the same mail may be sent twice at once.
func (f Folder) write(m *gomail.Msg, path string) (err error) {
	part, err := os.CreateTemp(f.Path, ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, part.Close(), os.Remove(part.Name()))
		}
	}()
	// The library writes word by word; a system call for each would be most of what a mail costs.
	buffered := bufio.NewWriter(part)
	if _, err = m.WriteTo(buffered); err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	return part.Close()
}
