package mysqlproxy

import (
	"math/rand/v2"
	"strings"
)

// The errors that tests inject.
var (
	Deadlock  = &Error{1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"}
	ReadOnly  = &Error{1290, "HY000", "The MySQL server is running with the --super-read-only option so it cannot execute this statement"}
	DiskFull  = &Error{1021, "HY000", "Disk full (/var/lib/mysql/spillway/orders.ibd); waiting for someone to free some space..."}
	TableFull = &Error{1114, "HY000", "The table 'orders' is full"}
	Engine    = &Error{1030, "HY000", "Got error 28 - 'No space left on device' from storage engine"}
	Commit    = &Error{1180, "HY000", "Got error 28 - 'No space left on device' during COMMIT"}
	TooMany   = &Error{1040, "08004", "Too many connections"}
)

// Writes returns one of the errors, at random, for each statement that changes or locks rows.
func Writes(errs ...*Error) Rule {
	return func(statement string) *Error {
		if !IsWrite(statement) {
			return nil
		}
		return errs[rand.IntN(len(errs))]
	}
}

// Sometimes applies the rule to a share of the statements, from 0 to 1.
func Sometimes(share float64, r Rule) Rule {
	return func(statement string) *Error {
		if rand.Float64() >= share {
			return nil
		}
		return r(statement)
	}
}

// IsWrite reports whether the statement changes rows or locks them.
func IsWrite(statement string) bool {
	verb, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
	switch strings.ToUpper(verb) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE":
		return true
	case "SELECT":
		return strings.HasSuffix(strings.TrimSpace(statement), "FOR UPDATE")
	}
	return false
}
