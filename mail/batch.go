package mail

import (
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// batch is the mails of one call.
type batch struct {
	// entries has one entry for each mail of the request. Requests for the same mail share one.
	entries []*entry
	// own are the entries of the mails that this call sends, each once.
	own []*entry
	// before are the mails that were sent before.
	before map[order.MailID]bool
}

// entry is a mail and the reason why it was not sent.
type entry struct {
	mail order.Mail
	err  error
	// skipped is why the mail is never sent; empty for others.
	skipped order.MailSkip
	// counted is set once Metrics has counted the mail.
	counted bool
}

// recipient is the address of the mail, to be counted.
func (e *entry) recipient() order.Recipient { return order.RecipientOf(e.mail.Order.Email) }

// record is the row of the mail. One that is skipped counts for no recipient.
func (e *entry) record() order.SentMail {
	if e.skipped != "" {
		return order.SentMail{MailID: e.mail.ID(), Skipped: e.skipped}
	}
	return order.SentMail{MailID: e.mail.ID(), Recipient: e.recipient()}
}

// unsent are the own mails that were not sent before.
func (b *batch) unsent() (out []*entry) {
	for _, e := range b.own {
		if !b.before[e.mail.ID()] {
			out = append(out, e)
		}
	}
	return out
}

// skipped are the own mails that are never sent.
func (b *batch) skipped() (out []*entry) {
	for _, e := range b.own {
		if e.skipped != "" {
			out = append(out, e)
		}
	}
	return out
}

// ids returns what identifies the mails.
func ids(entries []*entry) []order.MailID {
	out := make([]order.MailID, len(entries))
	for i, e := range entries {
		out[i] = e.mail.ID()
	}
	return out
}

// errs returns the error of each mail.
func (b *batch) errs() []error {
	out := make([]error, len(b.entries))
	for i, e := range b.entries {
		out[i] = e.err
	}
	return out
}

// response returns the results.
func (b *batch) response() *spillwayv1.SendOrderMailsResponse {
	out := &spillwayv1.SendOrderMailsResponse{Results: make([]*spillwayv1.SendOrderMailResult, len(b.entries))}
	for i, e := range b.entries {
		out.Results[i] = wire.MailResult(e.err)
		switch {
		case e.err != nil:
		case e.skipped != "":
			out.Results[i].Outcome = spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_SKIPPED
		case b.before[e.mail.ID()]:
			out.Results[i].Outcome = spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_ALREADY_SENT
		}
	}
	return out
}
