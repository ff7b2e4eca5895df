package order

// MailKind is what a mail tells the customer. An order's mail of each kind is sent once.
type MailKind string

// The kinds, as SQL keeps them.
const (
	// MailConfirmation says that the order was placed and paid.
	MailConfirmation MailKind = "confirmation"
	// MailShipped says that the carrier has the parcel.
	MailShipped MailKind = "shipped"
	// MailCancelled says that the order was cancelled, and what was refunded.
	MailCancelled MailKind = "cancelled"
)

// MailKinds lists every kind.
func MailKinds() []MailKind { return []MailKind{MailConfirmation, MailShipped, MailCancelled} }
