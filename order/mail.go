package order

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// MailKind is the kind of a mail to the customer. Each order gets at most one mail of each kind.
type MailKind string

// The kinds, in the form that SQL stores.
const (
	// MailConfirmation confirms that the order was placed and paid.
	MailConfirmation MailKind = "confirmation"
	// MailShipped announces that the carrier has the parcel.
	MailShipped MailKind = "shipped"
	// MailCancelled announces that the order was cancelled, with the refunded amount.
	MailCancelled MailKind = "cancelled"
	// MailRefund announces that a part or all of the order's money was refunded. Each refund has a kind of its own: see RefundMail.
	MailRefund MailKind = "refund"
)

// MailKinds returns every kind.
func MailKinds() []MailKind {
	return []MailKind{MailConfirmation, MailShipped, MailCancelled, MailRefund}
}

// RefundMail returns the kind of the mail of one refund: MailRefund and its id, which has the form of an ID. That is as long as SQL stores.
func RefundMail(refundID string) MailKind { return MailRefund + MailKind(refundID) }

// RefundID returns the refund of a kind that RefundMail returned.
func (k MailKind) RefundID() (refundID string, ok bool) {
	refundID, ok = strings.CutPrefix(string(k), string(MailRefund))
	return refundID, ok && refundID != ""
}

// Base returns the kind without the id of a refund: one of MailKinds.
func (k MailKind) Base() MailKind {
	if _, ok := k.RefundID(); ok {
		return MailRefund
	}
	return k
}

// MailID identifies a mail: each order gets at most one of each kind.
type MailID struct {
	OrderID ID
	Kind    MailKind
}

// String returns ORDER.KIND.
func (i MailID) String() string { return string(i.OrderID) + "." + string(i.Kind) }

// Recipient stands for a mail address where mails are counted: a hash of it, 22 letters, digits, - and _.
type Recipient string

// recipientBytes is the length of the hash.
const recipientBytes = 16

// RecipientOf returns the recipient of an address. Case does not count, nor what follows a + in the local part, which mail servers deliver to the
// same person.
func RecipientOf(email string) Recipient {
	local, domain, _ := strings.Cut(strings.ToLower(email), "@")
	local, _, _ = strings.Cut(local, "+")
	sum := sha256.Sum256([]byte(local + "@" + domain))
	return Recipient(base64.RawURLEncoding.EncodeToString(sum[:recipientBytes]))
}

// MailSkip is why a mail is not sent.
type MailSkip string

// SkipRecipientLimit means that the address has had its mails of the hour.
const SkipRecipientLimit MailSkip = "recipient_limit"

// SentMail records that a mail was sent to the recipient, or, if Skipped is set, that it never is.
type SentMail struct {
	MailID

	Recipient Recipient
	Skipped   MailSkip
}

// Mail is a mail to a customer.
type Mail struct {
	Kind  MailKind
	Order Order
	// Refund is the refunded amount of a cancellation, or of a refund; zero for none.
	Refund Money
}

// ID returns what identifies the mail.
func (m Mail) ID() MailID { return MailID{OrderID: m.Order.ID, Kind: m.Kind} }

// Validate returns ErrInvalid unless the ids and the kind are valid, and the mail of a refund has the refund's id and amount.
func (m Mail) Validate() error {
	if _, err := ParseID(string(m.Order.ID)); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if base := m.Kind.Base(); !slices.Contains(MailKinds(), base) {
		return fmt.Errorf("unknown kind of mail %q: %w", m.Kind, ErrInvalid)
	} else if base != MailRefund {
		return nil
	}
	refundID, _ := m.Kind.RefundID()
	if _, err := ParseID(refundID); err != nil { // Refunds have ids of the same form.
		return fmt.Errorf("%q is not the id of a refund: %w", refundID, ErrInvalid)
	}
	if m.Refund.Amount <= 0 {
		return fmt.Errorf("refund %s is of %s: %w", refundID, m.Refund, ErrInvalid)
	}
	return nil
}
