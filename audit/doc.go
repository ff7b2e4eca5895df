// Package audit checks the invariants of a shop's data (I16): units per SKU, money per order, states, shipments and
// mails. It reads SQL at one moment, and optionally Redis and the payment provider, but shares no code with the parts
// that it checks, so that it cannot share their mistakes. It is used as a library, a command (`spillway audit`), an RPC
// (AuditService.RunAudit), a periodic metric, and at the end of the fault tests.
//
// docs/design/audit.md lists the rules and what may be in flight while orders are being taken.
package audit
