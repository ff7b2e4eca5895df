package mail

import (
	"bytes"
	"embed"
	"fmt"
	netmail "net/mail"
	"sync"
	"time"

	"github.com/spillway/spillway/markup"
	"github.com/spillway/spillway/order"
)

// mailType is what all mails of one kind have in common.
type mailType struct{ subject, heading string }

// mailTypes is the table of all kinds of mail. Each kind has the templates templates/KIND.txt.tmpl and templates/KIND.html.tmpl.
var mailTypes = map[order.MailKind]mailType{
	order.MailConfirmation: {"Your order ", "Thank you for your order"},
	order.MailShipped:      {"On its way: your order ", "Your parcel is on its way"},
	order.MailCancelled:    {"Cancelled: your order ", "Your order was cancelled"},
	order.MailRefund:       {"Refund: your order ", "We gave money back"},
}

//go:embed templates/*.tmpl
var mailFiles embed.FS

// maxAddressBytes bounds a mail address: 64 of its local part, 255 of its domain and the @ (RFC 5321).
const maxAddressBytes = 320

// Message is a composed mail.
type Message struct {
	// Name identifies the mail in logs and errors, such as "ORDER.confirmation".
	Name string
	// From and To are the addresses of the envelope, in angle brackets.
	From, To string
	// Raw is the mail in the form of RFC 5322, with lines that end in LF and have at most 998 bytes of ASCII.
	Raw []byte
}

// Messages composes mails from templates. It is safe for concurrent use.
type Messages struct {
	from       netmail.Address
	fromHeader string
	text, html map[order.MailKind]*markup.Template
}

// NewMessages parses the embedded templates. from is the sender's address, as "NAME <ADDRESS>" or "ADDRESS".
func NewMessages(from string) (*Messages, error) {
	sender, err := netmail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("sender %q: %w", from, err)
	}
	m := &Messages{
		from: netmail.Address{Address: sender.Address}, fromHeader: sender.String(),
		text: map[order.MailKind]*markup.Template{}, html: map[order.MailKind]*markup.Template{},
	}
	for kind := range mailTypes {
		if m.text[kind], err = markup.Text(mailFiles, templates(kind, "txt")...); err != nil {
			return nil, err
		}
		if m.html[kind], err = markup.HTML(mailFiles, templates(kind, "html")...); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// templates returns the names of the kind's templates in the format, txt or html.
func templates(kind order.MailKind, format string) []string {
	return []string{"templates/layout." + format + ".tmpl", "templates/" + string(kind) + "." + format + ".tmpl"}
}

// Write composes a mail. Mail.Refund is the amount in mails of cancellations, where zero means that nothing was refunded, and in mails of
// refunds. Write returns order.ErrInvalid for an unknown kind, and for an invalid id or mail address. No text of a customer
// gets into a header, except for the address.
func (m *Messages) Write(mail order.Mail) (Message, error) {
	kind, ok := mailTypes[mail.Kind.Base()]
	if !ok {
		return Message{}, fmt.Errorf("unknown kind of mail %q: %w", mail.Kind, order.ErrInvalid)
	}
	if err := checkIDs(mail); err != nil {
		return Message{}, err
	}
	to, err := netmail.ParseAddress(mail.Order.Email)
	if err != nil || len(to.Address) > maxAddressBytes {
		// The address itself stays out of errors and logs.
		return Message{}, fmt.Errorf("invalid mail address of order %s: %w", mail.Order.ID, order.ErrInvalid)
	}
	out := Message{
		Name: mail.ID().String(), From: m.from.String(), To: (&netmail.Address{Address: to.Address}).String(),
	}
	texts := newPage(mail, kind)
	head := headers{
		date: time.Now(), from: m.fromHeader, to: out.To, subject: texts.Subject, id: out.Name,
	}
	out.Raw, err = m.compose(mail.Kind.Base(), head, texts)
	if err != nil {
		return Message{}, fmt.Errorf("%s of %s: %w", mail.Kind, mail.Order.ID, err)
	}
	return out, nil
}

// checkIDs checks the ids of which the Message-ID consists.
func checkIDs(mail order.Mail) error {
	_, err := order.ParseID(string(mail.Order.ID))
	if id, ok := mail.Kind.RefundID(); ok && err == nil {
		_, err = order.ParseID(id) // Refunds have ids of the same form.
	}
	if err != nil {
		return fmt.Errorf("%w: %w", order.ErrInvalid, err)
	}
	return nil
}

// buffers holds the buffers that templates write to.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// compose returns the mail with its headers and both parts.
func (m *Messages) compose(kind order.MailKind, head headers, texts page) ([]byte, error) {
	text, _ := buffers.Get().(*bytes.Buffer)
	html, _ := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(text)
	defer buffers.Put(html)
	text.Reset()
	html.Reset()
	if err := m.text[kind].Execute(text, &texts); err != nil {
		return nil, err
	}
	if err := m.html[kind].Execute(html, &texts); err != nil {
		return nil, err
	}
	return appendMIME(head, text.Bytes(), html.Bytes()), nil
}
