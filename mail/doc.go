// Package mail sends mails about orders to customers. Service is the EmailService, which sends each kind of mail once for each order. Client
// calls that service under a breaker policy. SMTP and Folder are the adapters of the port Sender.
package mail
