package mysqlproxy

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
)

// The commands with a statement: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html.
const (
	commandQuery   = 0x03
	commandPrepare = 0x16
)

// headerBytes is the length of a packet's header: three bytes of length, one of sequence.
const headerBytes = 4

// errorMark begins a packet with an error.
const errorMark = 0xff

// Error is an error of a MySQL server.
type Error struct {
	Number uint16
	// State is the SQLSTATE, five characters.
	State string
	Text  string
}

// response is the payload of the error as the response to a command.
func (e *Error) response() []byte {
	return slices.Concat(e.number(), []byte("#"+e.State), []byte(e.Text))
}

// handshake is the payload of the error instead of the server's greeting: no state, because no capabilities are known.
func (e *Error) handshake() []byte { return append(e.number(), e.Text...) }

func (e *Error) number() []byte { return binary.LittleEndian.AppendUint16([]byte{errorMark}, e.Number) }

func packet(sequence byte, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence}, payload...)
}

// readPacket reads one packet. A statement of 16 MiB or more comes in several, with sequence numbers above 0 from the second on.
func readPacket(c net.Conn) (sequence byte, payload []byte, err error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	_, err = io.ReadFull(c, payload)
	return header[3], payload, err
}
