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

// Folder is a Sender that writes mails to a folder as .eml files, for development. It is safe for concurrent use.
type Folder struct {
	Path string
	Log  *slog.Logger
}

// mailNames matches the names that Folder accepts. They cannot lead out of the folder or hide the file.
var mailNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Send writes the mail to NAME.eml atomically, readable by the process's user only. It returns order.ErrInvalid for a name that is not a
// plain file name. A mail of the same name is replaced.
func (f Folder) Send(ctx context.Context, m *gomail.Msg, name string) error {
	if !mailNames.MatchString(name) {
		return fmt.Errorf("invalid mail name %.140q, use up to 128 letters, digits, '.', '-' or '_': %w", name, order.ErrInvalid)
	}
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return fmt.Errorf("create mail folder: %w", err)
	}
	path := filepath.Join(f.Path, name+".eml")
	if err := f.write(m, path); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	f.Log.InfoContext(ctx, "wrote mail to folder", "path", path)
	return nil
}

// write writes a temporary file and renames it, because the same mail may be sent twice at once.
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
	// The buffer saves system calls: the library writes word by word.
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
