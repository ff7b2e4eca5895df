package main

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	gomail "github.com/wneessen/go-mail"
)

// TestSink_CountsMails sends mails with the library of the mail service.
func TestSink_CountsMails(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newSink()
	done := make(chan struct{})
	go func() { s.accept(l); close(done) }()
	port, err := strconv.Atoi(portOf(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	client, err := gomail.NewClient("127.0.0.1", gomail.WithPort(port), gomail.WithTLSPolicy(gomail.NoTLS))
	if err != nil {
		t.Fatal(err)
	}
	var mails []*gomail.Msg
	for _, id := range []string{"1.confirmation", "1.shipped", "1.shipped"} {
		m := gomail.NewMsg()
		if err := m.From("shop@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := m.To("a@example.com"); err != nil {
			t.Fatal(err)
		}
		m.SetMessageIDWithValue(id + "@spillway")
		m.SetBodyString(gomail.TypeTextPlain, fmt.Sprintf("Hello\r\n.\r\nMessage-ID: <%d>\r\n", len(mails)))
		mails = append(mails, m)
	}
	if err := client.DialAndSendWithContext(t.Context(), mails...); err != nil {
		t.Fatal(err)
	}
	l.Close()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count.Mails != 2 || s.count.Duplicates != 1 || s.count.Last.IsZero() {
		t.Errorf("the sink counted %+v", s.count)
	}
}
