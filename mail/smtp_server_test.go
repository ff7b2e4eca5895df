package mail

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeSMTPServer implements the subset of SMTP that the tests need.
type fakeSMTPServer struct {
	port int
	// replies replaces the reply to commands that begin with the key; "." is the end of a mail. An empty reply closes the connection.
	replies map[string]string
	// pipelining makes the server offer PIPELINING and hold back its replies until DATA. lenient makes it accept DATA after a refusal.
	pipelining, lenient bool
	// mailsPerConnection, if set, is after how many mails the next command of a connection gets closing, and the connection is closed.
	mailsPerConnection int
	closing            string
	// afterMail, if set, is called after each mail, before the reply to it.
	afterMail func()
	// certificate, if set, makes the server offer STARTTLS, and AUTH over TLS.
	certificate *tls.Certificate

	mu    sync.Mutex
	mails []string
	// commands are the commands of each connection.
	commands [][]string
	// open and peak count the connections.
	open, peak int
}

func startSMTPServer(t *testing.T, replies map[string]string) *fakeSMTPServer {
	t.Helper()
	s := &fakeSMTPServer{replies: replies}
	s.start(t)
	return s
}

// start listens until the test ends.
func (s *fakeSMTPServer) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s.port, _ = strconv.Atoi(port)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				id := s.count(1)
				defer s.count(-1)
				s.serve(c, id)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
}

// count counts a connection in or out, and returns the index of a new one.
func (s *fakeSMTPServer) count(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.peak = max(s.peak, s.open)
	if n > 0 {
		s.commands = append(s.commands, nil)
	}
	return len(s.commands) - 1
}

// heard records a command.
func (s *fakeSMTPServer) heard(id int, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands[id] = append(s.commands[id], strings.TrimSpace(line))
}

// reply returns the reply to a command.
func (s *fakeSMTPServer) reply(line, usual string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for prefix, other := range s.replies {
		if strings.HasPrefix(line, prefix) {
			return other
		}
	}
	return usual
}

// setReplies sets the replies.
func (s *fakeSMTPServer) setReplies(replies map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = replies
}

func (s *fakeSMTPServer) serve(c net.Conn, id int) {
	w := bufio.NewWriter(c)
	defer func() { _ = w.Flush(); _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(waitTimeout))
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 test\r\n")
	secure, refused, mails := false, false, 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		s.heard(id, line)
		if s.mailsPerConnection > 0 && mails >= s.mailsPerConnection {
			if s.closing != "" {
				fmt.Fprintf(w, "%s\r\n", s.closing)
			}
			return
		}
		reply := "250 OK"
		switch command := strings.ToUpper(line); {
		case strings.HasPrefix(command, "EHLO") && s.certificate != nil && !secure:
			reply = "250-test\r\n250 STARTTLS"
		case strings.HasPrefix(command, "EHLO") && secure:
			reply = "250-test\r\n250 AUTH PLAIN"
		case strings.HasPrefix(command, "EHLO") && s.pipelining:
			reply = "250-test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING"
		case strings.HasPrefix(command, "RSET"), strings.HasPrefix(command, "MAIL"):
			refused = false
		case strings.HasPrefix(command, "STARTTLS"):
			fmt.Fprint(c, "220 go\r\n")
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*s.certificate}, MinVersion: tls.VersionTLS12})
			r, w, secure = bufio.NewReader(c), bufio.NewWriter(c), true
			continue
		case strings.HasPrefix(command, "AUTH"):
			reply = "235 welcome"
		case strings.HasPrefix(command, "DATA"):
			if reply = s.reply(line, "354 go on"); refused && !s.lenient {
				reply = "554 no valid recipients"
			}
			if !strings.HasPrefix(reply, "354") {
				break
			}
			fmt.Fprintf(w, "%s\r\n", reply)
			if w.Flush() != nil || !s.readMail(r) {
				return
			}
			mails++
			if s.afterMail != nil {
				s.afterMail()
			}
			line, reply = ".", "250 OK"
		case strings.HasPrefix(command, "QUIT"):
			reply = "221 bye"
		}
		if !strings.HasPrefix(reply, "554") {
			reply = s.reply(line, reply)
		}
		if reply == "" {
			return
		}
		refused = refused || reply[0] >= '4'
		fmt.Fprintf(w, "%s\r\n", reply)
		if group := s.pipelining && strings.ContainsAny(line[:1], "RM"); !group && w.Flush() != nil || strings.HasPrefix(reply, "421") {
			return
		}
	}
}

// readMail records a mail. It ignores an empty one. It reports whether the mail ended before the connection.
func (s *fakeSMTPServer) readMail(r *bufio.Reader) bool {
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if text.Len() > 0 {
		s.mails = append(s.mails, text.String())
	}
	return true
}

func (s *fakeSMTPServer) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}
