// Package mail writes to customers: its service sends each kind of mail once an order, its client is how the other packages call that
// service, SMTP or Folder are its adapters of the port Sender.
package mail
