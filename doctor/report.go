package doctor

import "time"

// Report has the result of each check. Its JSON names are part of the command's interface.
type Report struct {
	// OK means that no check failed; there may be warnings.
	OK   bool      `json:"ok"`
	Role string    `json:"role"`
	Time time.Time `json:"time"`
	// The numbers of the checks with each status.
	Passed   int `json:"passed"`
	Warnings int `json:"warnings"`
	Failed   int `json:"failed"`
	Skipped  int `json:"skipped"`

	Checks []Line `json:"checks"`
}

// Line is the result of one check. Fix is empty unless the status is Warn or Fail.
type Line struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Fix    string `json:"fix,omitempty"`
}

func (r *Report) count(s Status) {
	switch s {
	case OK:
		r.Passed++
	case Warn:
		r.Warnings++
	case Fail:
		r.Failed++
	case Skipped:
		r.Skipped++
	}
	r.OK = r.Failed == 0
}
