package load

import (
	"context"
	"fmt"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// auditInterval is the time between two audits while the last orders may still be in progress.
	auditInterval = 2 * time.Second
	// auditTimeout is the maximum duration of one audit, which reads every row of the shop.
	auditTimeout = 5 * time.Minute
)

// audit requests a drained audit, and repeats it for up to SettleWait while it finds violations: mails and parcels of
// the last orders, and orders of other customers, may be in progress.
func (r *run) audit(ctx context.Context, progress *Progress) AuditCheck {
	if r.cfg.Token == "" {
		return AuditCheck{Status: StatusSkipped, Note: "no operator's token was given (--token, --auth-key or --data-dir)"}
	}
	progress.report("running the shop's audit")
	deadline := time.Now().Add(r.cfg.SettleWait)
	for {
		resp, err := r.auditOnce(ctx)
		switch again := time.Now().Add(auditInterval).Before(deadline); {
		case err == nil && (resp.GetOk() || !again):
			return auditCheck(resp)
		case err != nil && (!classifyError(err).again || !again):
			return auditFailed(err)
		}
		if !pause(ctx, auditInterval) {
			return AuditCheck{Status: StatusNotRun, Note: "interrupted"}
		}
	}
}

// auditOnce requests one audit, with the timeout of one.
func (r *run) auditOnce(ctx context.Context) (*spillwayv1.RunAuditResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return r.shop.Audit(ctx, r.cfg.Token, true)
}

// auditFailed is the result of an audit that could not run.
func auditFailed(err error) AuditCheck {
	if classifyError(err).code == "unimplemented" {
		return AuditCheck{Status: StatusUnimplemented, Note: "this shop has no AuditService: its data was NOT checked"}
	}
	return AuditCheck{Status: StatusNotRun, Note: fmt.Sprintf("the audit could not run: %v", err)}
}

// auditCheck converts the response, with its violations.
func auditCheck(resp *spillwayv1.RunAuditResponse) AuditCheck {
	a := AuditCheck{Status: StatusOK, InFlight: resp.GetOrdersInFlight()}
	if !resp.GetOk() {
		a.Status = StatusViolated
	}
	for _, r := range resp.GetRules() {
		a.Rules = append(a.Rules, AuditRule{Rule: r.GetRule(), Description: r.GetDescription(), Checked: r.GetChecked(), Violations: r.GetBroken()})
	}
	for _, f := range resp.GetFindings() {
		a.Violations = append(a.Violations, Violation{Rule: f.GetRule(), SKU: f.GetSku(), OrderID: f.GetOrderId(), Detail: f.GetDetail()})
	}
	return a
}
