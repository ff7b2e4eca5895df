package mail

import (
	"bytes"
	"errors"
	"strings"
)

// The reply codes of RFC 5321. RCPT may be accepted with 251, too, so that its code has two digits.
const (
	codeOK          = 250
	codeRecipientOK = 25
	codeSendData    = 354
	// codeSyntax is what a server replies to a command with a malformed address.
	codeSyntax = 501
)

// smtpCommand is a command without its CRLF, and the code of the reply that accepts it.
type smtpCommand struct {
	step smtpStep
	line string
	want int
}

// useExtensions reads from the reply to EHLO what the session uses.
func (s *smtpSession) useExtensions() {
	s.pipelining, _ = s.client.Extension("PIPELINING")
	if ok, _ := s.client.Extension("8BITMIME"); ok {
		s.mailParameters += " BODY=8BITMIME"
	}
	if ok, _ := s.client.Extension("SMTPUTF8"); ok {
		s.mailParameters += " SMTPUTF8"
	}
}

// begin sends the commands before the text of a mail. An error is a *sessionError.
func (s *smtpSession) begin(mail Message) error {
	if err := checkEnvelope(mail); err != nil {
		return err
	}
	commands := []smtpCommand{
		{stepReset, "RSET", codeOK},
		{stepSender, "MAIL FROM:" + mail.From + s.mailParameters, codeOK},
		{stepRecipient, "RCPT TO:" + mail.To, codeRecipientOK},
		{stepData, "DATA", codeSendData},
	}
	if !s.reset {
		commands = commands[1:]
	}
	s.reset = true
	if s.pipelining {
		return s.beginPipelined(commands)
	}
	for _, c := range commands {
		s.data = append(append(s.data[:0], c.line...), "\r\n"...)
		if err := s.exchange(s.data, c.want); err != nil {
			return s.failed(c.step, err)
		}
	}
	return nil
}

// errLineBreak is an address that would be several commands.
var errLineBreak = errors.New("address with a line break")

// checkEnvelope refuses addresses that contain a line break, as a server refuses a malformed address.
func checkEnvelope(mail Message) error {
	if strings.ContainsAny(mail.From, "\r\n") {
		return &sessionError{step: stepSender, code: codeSyntax, err: errLineBreak}
	}
	if strings.ContainsAny(mail.To, "\r\n") {
		return &sessionError{step: stepRecipient, code: codeSyntax, err: errLineBreak}
	}
	return nil
}

// beginPipelined sends the commands in one write (RFC 2920) and reads all replies. It returns the first refusal.
func (s *smtpSession) beginPipelined(commands []smtpCommand) error {
	s.data = s.data[:0]
	for _, c := range commands {
		s.data = append(append(s.data, c.line...), "\r\n"...)
	}
	if err := s.write(s.data); err != nil {
		return s.failed(commands[0].step, err)
	}
	var refused error
	for _, c := range commands {
		_, _, err := s.client.Text.ReadResponse(c.want)
		if err != nil {
			err = s.failed(c.step, err)
			if refused == nil {
				refused = err
			}
		}
		if s.broken {
			return refused
		}
		if c.step == stepData && err == nil && refused != nil {
			s.abandon(refused)
		}
	}
	return refused
}

// abandon ends a mail that the server waits for although it refused the sender or the recipient. Without a recipient, an empty mail is not
// delivered to anyone, and the connection stays usable. The server may have a recipient if it refused the sender only; the connection is closed then.
func (s *smtpSession) abandon(refused error) {
	var e *sessionError
	if !errors.As(refused, &e) || e.step != stepRecipient {
		s.broken = true
		return
	}
	if err := s.exchange(appendData(s.data[:0], nil), codeOK); err != nil {
		_ = s.failed(stepAccept, err) // The result of the mail is the refusal. This one decides whether the connection is usable.
	}
}

// exchange writes data and reads one reply.
func (s *smtpSession) exchange(data []byte, want int) error {
	if err := s.write(data); err != nil {
		return err
	}
	_, _, err := s.client.Text.ReadResponse(want)
	return err
}

// write writes data at once.
func (s *smtpSession) write(data []byte) error {
	w := s.client.Text.W
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Flush()
}

// appendData appends a mail in the form that follows DATA: lines end in CRLF, a dot at the start of a line is doubled, and a line with a dot
// ends the mail.
func appendData(dst, raw []byte) []byte {
	for len(raw) > 0 {
		var line []byte
		line, raw, _ = bytes.Cut(raw, []byte("\n"))
		if len(line) > 0 && line[0] == '.' {
			dst = append(dst, '.')
		}
		dst = append(append(dst, bytes.TrimSuffix(line, []byte("\r"))...), "\r\n"...)
	}
	return append(dst, ".\r\n"...)
}
