package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestAServerThatEndsIsUnavailable: a MySQL that is shut down still responds to the statements that reach it. Its clients must hear that
// they are to come again, and not of an internal error.
func TestAServerThatEndsIsUnavailable(t *testing.T) {
	for number, want := range map[uint16]bool{
		1053: true,  // Server shutdown in progress
		1290: true,  // running with --read-only
		1040: true,  // Too many connections
		1021: true,  // Disk full; waiting for someone to free some space
		1030: true,  // Got error 28 - 'No space left on device' from storage engine
		1114: true,  // The table is full
		1203: true,  // User already has more than 'max_user_connections' active connections
		1180: true,  // Got error 28 during COMMIT
		1045: true,  // Access denied, as while a password is changed
		3101: true,  // The replication group rolled the transaction back
		1792: true,  // Cannot execute statement in a READ ONLY transaction
		1062: false, // Duplicate entry
		1064: false, // You have an error in your SQL syntax
	} {
		err := store.Translate(fmt.Errorf("read orders: %w", &mysql.MySQLError{Number: number}))
		if got := errors.Is(err, order.ErrUnavailable); got != want {
			t.Errorf("error %d is unavailable: %v; want %v (%v)", number, got, want, err)
		}
	}
}
