package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// topTable aligns cells; those of left to the left.
type topTable struct {
	head []string
	left map[int]bool
	rows [][]string
	tone []tone
}

func (t *topTable) add(tone tone, cells ...string) {
	t.rows, t.tone = append(t.rows, cells), append(t.tone, tone)
}

func (t *topTable) lines(paint style) []string {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	out := []string{paint(toneHead, t.line(t.head, widths))}
	for i, row := range t.rows {
		out = append(out, paint(t.tone[i], t.line(row, widths)))
	}
	return out
}

func (t *topTable) line(cells []string, widths []int) string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if out[i] = space + cell; t.left[i] {
			out[i] = cell + space
		}
	}
	return strings.TrimRight(strings.Join(out, "  "), " ")
}

func stageName(s spillwayv1.PipelineStage) string { return enumName(s.String(), "PIPELINE_STAGE_") }

// enumName is the name of an enum's value; a dash for the unspecified one.
func enumName(name, prefix string) string {
	name = strings.TrimPrefix(name, prefix)
	if name == "UNSPECIFIED" {
		return "-"
	}
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

func rateCell(v *float64) string {
	if v == nil {
		return "-"
	}
	return rate(*v)
}

// wholeFrom is the number from which on decimals are left out.
const wholeFrom = 100

func rate(v float64) string {
	if v >= wholeFrom {
		return grouped(int64(v + 0.5))
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func countCell(n *int64) string {
	if n == nil {
		return "-"
	}
	return grouped(*n)
}

// grouped writes a number with a comma before each three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// age writes a duration; a dash if there is none.
func age(d *durationpb.Duration) string {
	if d == nil {
		return "-"
	}
	return duration(d.AsDuration())
}

// duration writes two units at most: 350ms, 4.2s, 3m12s, 5h7m or 3d4h.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second / 10).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < day:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
