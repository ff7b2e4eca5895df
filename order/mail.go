package order

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
)

// MailKinds returns every kind.
func MailKinds() []MailKind { return []MailKind{MailConfirmation, MailShipped, MailCancelled} }
