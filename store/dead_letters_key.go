package store

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spillway/spillway/order"
)

// MailerSource is the source of dead letters that are mails.
const MailerSource = "mailer"

const mailKeyPrefix = MailerSource + "/order/"

// MailKey is the dedup key of the dead letter of an order's mail.
func MailKey(id order.ID, kind order.MailKind) string {
	return mailKeyPrefix + string(id) + mailKeySuffix(kind)
}

// mailKeySuffix is what follows the order's id in the key. The key of a confirmation is older than the other kinds.
func mailKeySuffix(kind order.MailKind) string {
	if kind == order.MailConfirmation {
		return ""
	}
	return "/" + string(kind)
}

// EntryKey names a journal entry among the dead letters.
type EntryKey struct {
	Partition uint8
	Epoch     int64
	// ID is the entry's id in the journal of the epoch.
	ID string
}

const entryKeyPrefix = "journal/"

// String is the dedup key of the entry's dead letter, "journal/PARTITION/EPOCH/ID".
func (k EntryKey) String() string {
	return fmt.Sprintf("%s%d/%d/%s", entryKeyPrefix, k.Partition, k.Epoch, k.ID)
}

// ParseEntryKey reads what String made; false when the key is that of another kind of dead letter.
func ParseEntryKey(key string) (EntryKey, bool) {
	rest, isEntry := strings.CutPrefix(key, entryKeyPrefix)
	parts := strings.Split(rest, "/")
	if !isEntry || len(parts) != 3 || parts[2] == "" {
		return EntryKey{}, false
	}
	partition, err1 := strconv.ParseUint(parts[0], 10, 8)
	epoch, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return EntryKey{}, false
	}
	return EntryKey{Partition: uint8(partition), Epoch: epoch, ID: parts[2]}, true
}
