package mail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// newOneConnection returns a Sender with one connection.
func newOneConnection(t *testing.T, port int) *SMTP {
	t.Helper()
	return newSMTP(t, SMTPConfig{Host: "127.0.0.1", Port: port, Plain: true, Timeout: waitTimeout, Connections: 1})
}

// TestSMTP_Pipelining: the server holds back its replies until DATA, so that the test ends only if the client does not wait for them.
func TestSMTP_Pipelining(t *testing.T) {
	server := &fakeSMTPServer{pipelining: true}
	server.start(t)
	m := newOneConnection(t, server.port)
	for range 2 {
		if err := errors.Join(m.Send(t.Context(), newConfirmations(t, 3))...); err != nil {
			t.Fatal(err)
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	all := strings.Join(server.commands[0], "\n")
	if len(server.mails) != 6 || len(server.commands) != 1 || strings.Count(all, "RSET") != 1 || strings.Count(all, "> BODY=8BITMIME SMTPUTF8\n") != 6 {
		t.Errorf("%d mails with the commands %q", len(server.mails), server.commands)
	}
}

// refusal is a reply of a server to a step of a mail.
type refusal struct {
	pipelining, lenient bool
	command, reply      string
}

// refusals returns each reply at each step.
func refusals() (out []refusal) {
	for _, command := range []string{"RSET", "MAIL", "RCPT", "DATA", "."} {
		for _, reply := range []string{"550 no", "450 later", "421 closing", ""} {
			for _, pipelining := range []bool{false, true} {
				out = append(out, refusal{pipelining, false, command, reply}, refusal{pipelining, true, command, reply})
			}
		}
	}
	return out
}

// notAccepted reports whether the server closes the connection before it takes the mail.
func (r refusal) notAccepted() bool {
	return strings.HasPrefix(r.reply, "421") || r.reply == "" && r.command != "."
}

// TestSMTP_RefusalAtEachStep: a refused mail is not delivered, its error has the step that the server refused, and the mail after it is delivered.
func TestSMTP_RefusalAtEachStep(t *testing.T) {
	names := map[string]smtpStep{"MAIL": stepSender, "RCPT": stepRecipient, "DATA": stepData, ".": stepAccept}
	for _, r := range refusals() {
		server := &fakeSMTPServer{pipelining: r.pipelining, lenient: r.lenient}
		server.start(t)
		m := newOneConnection(t, server.port)
		if err := sendOne(t.Context(), m, newConfirmation(t, newOrder(t))); err != nil {
			t.Fatal(err)
		}
		server.setReplies(map[string]string{r.command: r.reply})
		err := sendOne(t.Context(), m, newConfirmation(t, newOrder(t)))
		code, _, _ := strings.Cut(r.reply, " ")
		switch step := names[r.command]; {
		case r.command == "RSET":
			if err != nil {
				t.Errorf("%+v: %v; want the mail sent over a new connection", r, err)
			}
		case r.command == "RCPT" && code == "550":
			if !errors.Is(err, order.ErrInvalid) {
				t.Errorf("%+v: %v; want ErrInvalid", r, err)
			}
		case !errors.Is(err, order.ErrUnavailable) || code != "" && !strings.Contains(err.Error(), fmt.Sprintf("(%s, code %s)", step, code)):
			t.Errorf("%+v: %v; want code %q at %s", r, err, code, step)
		}
		want := 2 // The first and the last mail.
		if r.command == "RSET" || r.command == "." {
			want++
		}
		if r.command == "." && r.notAccepted() {
			want++ // It was tried again over a new connection.
		}
		server.setReplies(nil)
		if err := sendOne(t.Context(), m, newConfirmation(t, newOrder(t))); err != nil || len(server.received()) != want {
			t.Errorf("%+v: the next mail: %v, %d mails at the server; want %d", r, err, len(server.received()), want)
		}
		checkConnections(t, r, server)
	}
}

// checkConnections checks that a refusal leaves the connection usable, except if the server may have a recipient for the mail that it waits for.
func checkConnections(t *testing.T, r refusal, server *fakeSMTPServer) {
	t.Helper()
	server.mu.Lock()
	defer server.mu.Unlock()
	closes := r.reply == "" || r.notAccepted() || r.command == "RSET" || r.command == "MAIL" && r.pipelining && r.lenient
	if got := len(server.commands); (got > 1) != closes {
		t.Errorf("%+v: %d connections", r, got)
	}
}

func TestSMTP_LineBreakInAddress(t *testing.T) {
	for _, pipelining := range []bool{false, true} {
		server := &fakeSMTPServer{pipelining: pipelining}
		server.start(t)
		m := newOneConnection(t, server.port)
		mails := newConfirmations(t, 3)
		mails[0].To += "\r\nRCPT TO:<eve@example.com>"
		mails[1].From += "\nRCPT TO:<eve@example.com>"
		errs := m.Send(t.Context(), mails)
		if !errors.Is(errs[0], order.ErrInvalid) || !errors.Is(errs[1], order.ErrUnavailable) || errs[2] != nil {
			t.Errorf("pipelining %v: %v", pipelining, errs)
		}
		server.mu.Lock()
		if all := fmt.Sprint(server.commands); len(server.mails) != 1 || len(server.commands) != 1 || strings.Contains(all, "eve") {
			t.Errorf("pipelining %v: %d mails with the commands %s", pipelining, len(server.mails), all)
		}
		server.mu.Unlock()
	}
}

// TestAppendData_LikeTextproto compares with the writer of the standard library.
func TestAppendData_LikeTextproto(t *testing.T) {
	for _, raw := range []string{
		"a\n", "a", "a\r\n", "a\r", ".\n", ".\r\n", "a\n.\nb\n", "..\n.a\n", "\n\n", "\n.", ".", "a\rb\n", strings.Repeat("x", 5000) + "\n.\n",
		string(newConfirmation(t, newOrder(t)).Raw),
	} {
		var want bytes.Buffer
		w := textproto.NewWriter(bufio.NewWriter(&want)).DotWriter()
		if _, err := w.Write([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := appendData(nil, []byte(raw)); string(got) != want.String() {
			t.Errorf("%q became %q; want %q", raw, got, want.String())
		}
	}
}

// BenchmarkSMTP_Send sends batches to a server that discards them, in the same process; the figures are for one mail.
func BenchmarkSMTP_Send(b *testing.B) {
	for _, pipelining := range []bool{false, true} {
		b.Run(fmt.Sprintf("pipelining=%v", pipelining), func(b *testing.B) {
			server := &fakeSMTPServer{pipelining: pipelining}
			server.start(b)
			c, order := benchMail(b)
			m, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: server.port, Plain: true, Timeout: time.Minute, Connections: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			batch := make([]Message, MaxBatch)
			for i := range batch {
				if batch[i], err = c.Write(order); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%MaxBatch != 0 {
					continue
				}
				if err := errors.Join(m.Send(b.Context(), batch)...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
