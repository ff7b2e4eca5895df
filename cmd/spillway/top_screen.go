package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// terminal is the terminal that standard output is.
type terminal struct {
	out *os.File
	// colours is false with NO_COLOR, or on a terminal that has none.
	colours bool
}

// openTerminal returns the terminal behind out; false if it is a file or a pipe, or a terminal without control sequences.
func openTerminal(out io.Writer) (terminal, bool) {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return terminal{}, false
	}
	if _, _, ok := terminalSize(f); !ok {
		return terminal{}, false
	}
	return terminal{out: f, colours: os.Getenv("NO_COLOR") == ""}, true
}

// ANSI control sequences.
const (
	ansiOpen  = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	ansiClose = "\x1b[?25h\x1b[?1049l"
	ansiHome  = "\x1b[H"
	ansiEOL   = "\x1b[K" // clears the rest of the line
	ansiBelow = "\x1b[J" // clears what is below
	ansiReset = "\x1b[0m"
)

// topScreen shows the newest update on a terminal.
type topScreen struct {
	terminal terminal
	url      string
	latest   *spillwayv1.Pipeline
	status   string
}

func (s *topScreen) open()  { fmt.Fprint(s.terminal.out, ansiOpen) }
func (s *topScreen) close() { fmt.Fprint(s.terminal.out, ansiClose) }

func (s *topScreen) show(p *spillwayv1.Pipeline) error {
	s.latest, s.status = p, ""
	return s.draw()
}

func (s *topScreen) lost(err error, retry time.Duration) {
	s.status = lostText(err, retry)
	s.resized()
}

// resized ignores that drawing failed: the next update sees that too.
func (s *topScreen) resized() { _ = s.draw() }

func (s *topScreen) draw() error {
	if s.latest == nil {
		return nil
	}
	paint := style(plainStyle)
	if s.terminal.colours {
		paint = ansiStyle
	}
	lines := topLines(s.latest, s.url, paint)
	if s.status != "" {
		lines = append([]string{paint(toneBad, s.status)}, lines...)
	}
	columns, rows, ok := terminalSize(s.terminal.out)
	if !ok {
		columns, rows = defaultColumns, defaultRows
	}
	_, err := s.terminal.out.WriteString(frame(lines, columns, rows))
	return err
}

// The size of a terminal that does not have one.
const (
	defaultColumns = 80
	defaultRows    = 24
)

// frame draws the lines over the previous ones, as much of them as fits.
func frame(lines []string, columns, rows int) string {
	if hidden := len(lines) - rows; hidden > 0 && rows > 1 {
		lines = append(lines[:rows-1:rows-1], fmt.Sprintf("(%d more lines: the terminal has %d)", hidden+1, rows))
	}
	var b strings.Builder
	b.WriteString(ansiHome)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(clip(line, columns))
		b.WriteString(ansiEOL)
	}
	b.WriteString(ansiBelow)
	return b.String()
}

// clip cuts a line to the columns. Control sequences of colours take none.
func clip(line string, columns int) string {
	var b strings.Builder
	used := 0
	for len(line) > 0 {
		if n := sequenceLength(line); n > 0 {
			b.WriteString(line[:n])
			line = line[n:]
			continue
		}
		_, n := utf8.DecodeRuneInString(line)
		if used++; used <= columns {
			b.WriteString(line[:n])
		}
		line = line[n:]
	}
	return b.String()
}

// sequenceLength returns the length of the colour sequence that the text begins with; 0 if it does not.
func sequenceLength(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	return strings.IndexByte(s, 'm') + 1
}
