package gateway

import (
	"bytes"
	"context"
	_ "embed" // The templates are part of the program.
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"os"
	"path/filepath"
	texttemplate "text/template"

	"github.com/wneessen/go-mail"

	"github.com/spillway/spillway/order"
)

// Mailer sends mails.
type Mailer interface {
	Send(ctx context.Context, m *mail.Msg, name string) error
}

// Folder is a Mailer that writes mails to a folder as .eml files, for trying and developing.
type Folder struct {
	Path string
	Log  *slog.Logger
}

// Send writes the mail to NAME.eml, whole or not at all.
func (f Folder) Send(ctx context.Context, m *mail.Msg, name string) error {
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return fmt.Errorf("mail folder: %w", err)
	}
	path := filepath.Join(f.Path, filepath.Base(name)+".eml")
	if err := m.WriteToFile(path + ".part"); err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	f.Log.DebugContext(ctx, "mail written", "path", path)
	return nil
}

//go:embed confirmation.txt.tmpl
var confirmationText string

//go:embed confirmation.html.tmpl
var confirmationHTML string

// Confirmations makes the mails that confirm orders.
type Confirmations struct {
	from string
	text *texttemplate.Template
	html *htmltemplate.Template
}

// NewConfirmations reads the templates. from is the sender's address.
func NewConfirmations(from string) (*Confirmations, error) {
	funcs := map[string]any{"money": func(c order.Currency, n order.Cents) string { return order.Money{Currency: c, Amount: n}.String() }}
	text, err := texttemplate.New("text").Funcs(funcs).Parse(confirmationText)
	if err != nil {
		return nil, fmt.Errorf("confirmation.txt.tmpl: %w", err)
	}
	html, err := htmltemplate.New("html").Funcs(funcs).Parse(confirmationHTML)
	if err != nil {
		return nil, fmt.Errorf("confirmation.html.tmpl: %w", err)
	}
	return &Confirmations{from: from, text: text, html: html}, nil
}

// For makes the mail that confirms an order. The library encodes every header, so that nothing a customer wrote adds one.
func (c *Confirmations) For(o order.Order) (*mail.Msg, error) {
	var text, html bytes.Buffer
	if err := c.text.Execute(&text, o); err != nil {
		return nil, fmt.Errorf("confirmation of %s: %w", o.ID, err)
	}
	if err := c.html.Execute(&html, o); err != nil {
		return nil, fmt.Errorf("confirmation of %s: %w", o.ID, err)
	}
	m := mail.NewMsg()
	if err := m.From(c.from); err != nil {
		return nil, fmt.Errorf("sender %q: %w", c.from, err)
	}
	if err := m.To(o.Email); err != nil {
		// The address itself stays out of errors and logs.
		return nil, fmt.Errorf("the mail address of order %s is not one: %w", o.ID, order.ErrInvalid)
	}
	m.Subject("Your order " + string(o.ID))
	m.SetMessageIDWithValue(string(o.ID) + ".confirmation@spillway")
	m.SetBodyString(mail.TypeTextPlain, text.String())
	m.AddAlternativeString(mail.TypeTextHTML, html.String())
	return m, nil
}
