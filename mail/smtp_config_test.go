package mail

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func TestSMTPConfig_AllMistakesAtOnce(t *testing.T) {
	_, err := NewSMTP(SMTPConfig{Port: 70000, Plain: true, Username: "u", Password: "hunter2"})
	if !errors.Is(err, order.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
		t.Fatal(err)
	}
	for _, part := range []string{"host", "port", "password", "timeout", "connections"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about the %s in: %v", part, err)
		}
	}
	for port, ok := range map[int]bool{465: false, 587: true, 25: true} {
		_, err := NewSMTP(SMTPConfig{Host: "mail.example", Port: port, Username: "u", Password: "p", Timeout: time.Second, Connections: 1})
		if (err == nil) != ok {
			t.Errorf("port %d: %v", port, err)
		}
	}
}
