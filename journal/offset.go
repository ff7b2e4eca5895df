package journal

import (
	"strconv"
	"strings"
)

// StartID is the id before the first entry of a journal.
const StartID = "0-0"

// Offset is a position in the journals of one partition: an epoch and an entry id in it.
type Offset struct {
	Epoch int64
	ID    string
}

// Reaches reports whether o is at other or beyond it in the same epoch. Offsets of two epochs are not comparable: only SQL knows what an
// earlier epoch's journal held when it was closed.
func (o Offset) Reaches(other Offset) bool {
	return o.Epoch == other.Epoch && CompareIDs(o.ID, other.ID) >= 0
}

// CompareIDs orders two stream ids. A string that is not an id sorts first.
func CompareIDs(a, b string) int {
	aMS, aSeq := splitID(a)
	bMS, bSeq := splitID(b)
	switch {
	case aMS != bMS && aMS < bMS, aMS == bMS && aSeq < bSeq:
		return -1
	case aMS == bMS && aSeq == bSeq:
		return 0
	}
	return 1
}

func splitID(id string) (ms, seq uint64) {
	a, b, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(a, 10, 64)
	seq, _ = strconv.ParseUint(b, 10, 64)
	return ms, seq
}
