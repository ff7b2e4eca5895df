// Package audit checks that the books close (I16): in units per SKU, in money per order, in states and in shipments. It looks at
// one moment of SQL and at nothing else, so that it cannot share the mistakes of those it judges. It is a library, a command
// (`spillway audit`), an RPC (AuditService.RunAudit), and what the fault tests end with.
//
// docs/design/audit.md lists the rules and says what may be on its way while orders are being taken.
package audit
