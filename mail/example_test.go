package mail_test

import (
	"bytes"
	"fmt"
	netmail "net/mail"

	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/order"
)

func ExampleMessages_Write() {
	messages, err := mail.NewMessages("Shop <shop@example.com>")
	if err != nil {
		fmt.Println(err)
		return
	}
	o := order.Order{ID: "01J00000000000000000000000", Email: "ada@example.com", Currency: "EUR", TrackingID: "SPW1"}
	msg, err := messages.Write(order.Mail{Kind: order.MailShipped, Order: o})
	if err != nil {
		fmt.Println(err)
		return
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(msg.Raw))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(parsed.Header.Get("To"))
	fmt.Println(parsed.Header.Get("Message-Id"))
	// Output:
	// <ada@example.com>
	// <01J00000000000000000000000.shipped@spillway>
}

func ExampleSMTPConfig_Validate() {
	fmt.Println(mail.SMTPConfig{Host: "mail.example.com", Port: 465, Connections: 10}.Validate())
	// Output:
	// smtp port 465 is for implicit TLS: use the port with STARTTLS, usually 587: invalid
	// smtp timeout 0s: must be positive: invalid
}
