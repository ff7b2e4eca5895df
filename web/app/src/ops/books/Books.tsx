import type { AuditFinding, RunAuditResponse } from "@spillway/client/gen/spillway/v1/audit_pb";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useApi } from "../shell/api.tsx";
import { count, moment } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";
import { Balances } from "./Balances.tsx";

/** The time from the end of an audit to the next one: an audit reads every order. */
const intervalMs = 15_000;

/** The audit, again and again while the page is open: whether units, money and states add up. */
export function Books() {
  const { audit } = useApi();
  const [drained, setDrained] = useState(false);
  const [live, setLive] = useState(true);
  const run = useQuery({
    queryKey: ["audit", drained],
    queryFn: ({ signal }) => audit.runAudit({ drained }, { signal }),
    refetchInterval: live ? intervalMs : false,
    retry: false,
  });
  return (
    <Page
      title="Books"
      actions={
        <>
          <label>
            <input type="checkbox" checked={drained} onChange={(e) => setDrained(e.target.checked)} /> Nothing may be in
            flight
          </label>
          <button type="button" aria-pressed={!live} onClick={() => setLive(!live)}>
            {live ? "Pause" : "Resume"}
          </button>
          <button type="button" disabled={run.isFetching} onClick={() => void run.refetch()}>
            Audit now
          </button>
        </>
      }
    >
      {run.error && <Failure error={run.error} retry={() => void run.refetch()} />}
      {run.isPending && <p className="muted">The audit reads every order …</p>}
      {run.data && (
        <>
          <Verdict result={run.data} />
          <Findings findings={run.data.findings} />
          <Balances intervalMs={live && intervalMs} inFlight={run.data.ordersInFlight > 0n} />
          <Rules result={run.data} />
        </>
      )}
    </Page>
  );
}

function Verdict({ result: r }: { result: RunAuditResponse }) {
  const broken = r.rules.reduce((sum, rule) => sum + rule.broken, 0n);
  return (
    <p className={`notice ${r.ok ? "good" : "bad"}`} role="status">
      <strong>{r.ok ? "The books close." : `The books do not close: ${count(broken)} violations.`}</strong> Read at{" "}
      {moment(r.readTime)}, with {count(r.ordersInFlight)} orders in flight.
    </p>
  );
}

function Findings({ findings }: { findings: AuditFinding[] }) {
  if (findings.length === 0) return null;
  return (
    <Scroll label="Violations" card>
      <h2>What does not add up</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">SKU</th>
            <th scope="col">Order</th>
            <th scope="col">Rule</th>
            <th scope="col">Numbers</th>
          </tr>
        </thead>
        <tbody>
          {findings.map((f) => (
            <tr key={`${f.rule} ${f.sku} ${f.orderId} ${f.detail}`} className="bad">
              <td>{f.sku && <code>{f.sku}</code>}</td>
              <td>{f.orderId && <Link href={`/orders/${f.orderId}`}>{f.orderId}</Link>}</td>
              <td>
                <code>{f.rule}</code>
              </td>
              <td>{f.detail}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Rules({ result }: { result: RunAuditResponse }) {
  return (
    <Scroll label="Rules" card>
      <h2>Rules</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col">Condition</th>
            <th scope="col" className="number">
              Checked
            </th>
            <th scope="col" className="number">
              Violated
            </th>
          </tr>
        </thead>
        <tbody>
          {result.rules.map((r) => (
            <tr key={r.rule} className={r.broken > 0n ? "bad" : undefined}>
              <th scope="row">
                <code>{r.rule}</code>
              </th>
              <td>{r.description}</td>
              <td className="number">{count(r.checked)}</td>
              <td className="number">{count(r.broken)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
