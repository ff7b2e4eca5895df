package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Status is the outcome of a check.
type Status string

// The outcomes.
const (
	OK   Status = "ok"
	Warn Status = "warn" // it works, and there is a risk
	Fail Status = "fail" // the shop does not work, or loses what it promises to keep
	// Skipped means that nothing is to be checked, or that a check that it needs did not pass.
	Skipped Status = "skipped"
)

// Result is the outcome of one check.
type Result struct {
	Status Status
	// Found is what was found, or why the check was skipped. Fix is one line: what to set or run; empty unless Status is Warn or Fail.
	Found, Fix string
	// unused means that nothing is to be checked, so that checks that need this one run.
	unused bool
}

// Check is one thing that is checked.
type Check struct {
	// Name is GROUP.THING. Demands is what must be the case, as docs/doctor.md has it.
	Name, Demands string

	needs []string // checks that must pass before it
	run   func(ctx context.Context, s *session) Result
}

// Checks returns all checks in the order of a report. Each comes after those that it needs.
func Checks() []Check {
	return slices.Concat(processChecks, redisChecks, sqlChecks, mysqlChecks, rocketmqChecks, shopChecks, serviceChecks, externalChecks)
}

func ok(format string, args ...any) Result {
	return Result{Status: OK, Found: fmt.Sprintf(format, args...)}
}

func warn(fix, format string, args ...any) Result {
	return Result{Status: Warn, Fix: fix, Found: fmt.Sprintf(format, args...)}
}

func fail(fix, format string, args ...any) Result {
	return Result{Status: Fail, Fix: fix, Found: fmt.Sprintf(format, args...)}
}

// unused is the result of a check that has nothing to check.
func unused(format string, args ...any) Result {
	return Result{Status: Skipped, Found: fmt.Sprintf(format, args...), unused: true}
}

// blocked is the result of a check that cannot be made, and neither can those that need it.
func blocked(format string, args ...any) Result {
	return Result{Status: Skipped, Found: fmt.Sprintf(format, args...)}
}

// passes reports whether checks that need this one run.
func (r Result) passes() bool { return r.Status == OK || r.Status == Warn || r.unused }

const (
	// maxParallel bounds the checks that run at once, so that the doctor is no load for what it looks at.
	maxParallel = 8
	// checkTimeout bounds one check: reading all counters of a large catalogue takes a second, and a frozen server must not hold the others for long.
	checkTimeout = 8 * time.Second
)
