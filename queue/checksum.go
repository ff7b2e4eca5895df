package queue

import (
	"fmt"
	"hash/crc32"
	"strconv"
)

// checksumHeader is the header with the checksum of the body, in hexadecimal.
const checksumHeader = "spillway-crc32c"

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(body []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(body, castagnoli)), 16)
}

// CheckBody returns ErrCorrupt if the body is not the one that was sent. A body that changed on its way may still look
// valid: most bytes of an order event are text that can be anything. A message without a checksum, from an older version,
// passes.
func (m Message) CheckBody() error {
	want, ok := m.Headers[checksumHeader]
	if !ok {
		return nil
	}
	if got := checksum(m.Body); got != want {
		return fmt.Errorf("%w: its checksum is %s instead of %s", ErrCorrupt, got, want)
	}
	return nil
}
