package load

import (
	"context"
	"fmt"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// auditPoll is the pause between two audits, while what is on its way may still arrive.
	auditPoll = 2 * time.Second
	// auditTimeout bounds one audit, which reads every row of the shop.
	auditTimeout = 5 * time.Minute
)

// audit asks the shop for a drained audit, again while it is not content and SettleWait lasts: mails and parcels of the last
// orders, and those of other customers, may be on their way.
func (r *run) audit(ctx context.Context, progress *Progress) AuditCheck {
	if r.cfg.Token == "" {
		return AuditCheck{Status: StatusSkipped, Note: "no operator's token was given (--token, --auth-key or --data-dir)"}
	}
	progress.say("asking for an audit")
	deadline := time.Now().Add(r.cfg.SettleWait)
	for {
		resp, err := r.auditOnce(ctx)
		switch again := time.Now().Add(auditPoll).Before(deadline); {
		case err == nil && (resp.GetOk() || !again):
			return auditCheck(resp)
		case err != nil && (!classifyError(err).again || !again):
			return auditFailed(err)
		}
		if !pause(ctx, auditPoll) {
			return AuditCheck{Status: StatusNotRun, Note: "interrupted"}
		}
	}
}

func (r *run) auditOnce(ctx context.Context) (*spillwayv1.RunAuditResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return r.shop.Audit(ctx, r.cfg.Token, true)
}

func auditFailed(err error) AuditCheck {
	if classifyError(err).code == "unimplemented" {
		return AuditCheck{Status: StatusUnimplemented, Note: "this shop has no AuditService: its books were NOT checked"}
	}
	return AuditCheck{Status: StatusNotRun, Note: fmt.Sprintf("the audit could not run: %v", err)}
}

func auditCheck(resp *spillwayv1.RunAuditResponse) AuditCheck {
	a := AuditCheck{Status: StatusOK, InFlight: resp.GetOrdersInFlight()}
	if !resp.GetOk() {
		a.Status = StatusBroken
	}
	for _, r := range resp.GetRules() {
		a.Rules = append(a.Rules, AuditRule{Rule: r.GetRule(), Description: r.GetDescription(), Checked: r.GetChecked(), Broken: r.GetBroken()})
	}
	for _, f := range resp.GetFindings() {
		a.Findings = append(a.Findings, Violation{Rule: f.GetRule(), SKU: f.GetSku(), OrderID: f.GetOrderId(), Detail: f.GetDetail()})
	}
	return a
}
