package redisconn

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// maxReplyBytes bounds one string of a reply: the two sections of INFO are about 2 kB.
	maxReplyBytes = 64 << 10
	// maxReplyStrings bounds an array: what a Sentinel knows of a primary is about 50 strings.
	maxReplyStrings = 256
)

// resp sends commands over RESP2, the protocol of every connection before rueidis sends HELLO. It reads all of the replies and nothing
// more, so the connection is as new afterwards.
type resp struct {
	w io.Writer
	r *bufio.Reader
}

func newRESP(conn io.ReadWriter) resp { return resp{w: conn, r: bufio.NewReader(conn)} }

// text sends one command and reads a simple string or a bulk string.
func (p resp) text(args ...string) (string, error) {
	if err := p.send(args); err != nil {
		return "", err
	}
	return p.readString(args[0])
}

// texts sends one command and reads an array of strings; nil for the array that stands for nothing.
func (p resp) texts(args ...string) ([]string, error) {
	if err := p.send(args); err != nil {
		return nil, err
	}
	line, err := p.readLine(args[0])
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(line, "*"))
	switch {
	case err != nil || !strings.HasPrefix(line, "*") || n > maxReplyStrings:
		return nil, fmt.Errorf("redis replied %q to %s", line, args[0])
	case n < 0:
		return nil, nil
	}
	out := make([]string, n)
	for i := range out {
		if out[i], err = p.readString(args[0]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p resp) send(args []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// readLine reads a line, and returns an error that Redis replied as one.
func (p resp) readLine(command string) (string, error) {
	line, err := p.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if strings.HasPrefix(line, "-") {
		err := fmt.Errorf("redis replied %s to %s", line, command)
		if isLoginReply(line) {
			return "", &RefusedError{Refusal: RefusedLogin, err: err}
		}
		return "", err
	}
	return line, nil
}

func (p resp) readString(command string) (string, error) {
	line, err := p.readLine(command)
	if err != nil || !strings.HasPrefix(line, "$") {
		return line, err
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 || n > maxReplyBytes {
		return "", fmt.Errorf("redis replied %q to %s", line, command)
	}
	buf := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(p.r, buf); err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
