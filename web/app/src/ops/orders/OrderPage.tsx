import { money } from "@spillway/client";
import type { GetOrderTimelineResponse, Order } from "@spillway/client/gen/spillway/v1/order_pb";
import { OrderState, OrderStepState, WaitingFor } from "@spillway/client/gen/spillway/v1/order_pb";
import { ChargeState } from "@spillway/client/gen/spillway/v1/payment_pb";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "wouter";
import { useApi } from "../shell/api.tsx";
import { moment, words } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { PrivacyButton, Private } from "../shell/Private.tsx";
import { TraceLink } from "../shell/TraceLink.tsx";
import { CancelDialog, RefundDialog } from "./changes.tsx";
import { StatePill } from "./state.tsx";
import { Timeline } from "./Timeline.tsx";

/** The time between two reads while the order still changes. */
const refreshMs = 1_500;
/** And once nothing is left to be done: another operator may refund it, and a cancelled order is refunded soon after. */
const idleMs = 5_000;

const final = (o: Order | undefined) => !o || o.state === OrderState.SHIPPED || o.state === OrderState.CANCELLED;

const settled = (data: GetOrderTimelineResponse | undefined) =>
  !!data && final(data.order) && !data.steps.some((s) => s.state === OrderStepState.WAITING);

/** One order: what it is, each step it took, and what an operator can do about it. */
export function OrderPage() {
  const { id = "" } = useParams();
  const { orders, session } = useApi();
  const client = useQueryClient();
  const key = ["order", id];
  const read = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => orders.getOrderTimeline({ orderId: id }, { signal }),
    refetchInterval: (q) => (settled(q.state.data) ? idleMs : refreshMs),
  });
  const [doing, setDoing] = useState<"cancel" | "refund">();
  const data = read.data;
  const order = data?.order;
  const again = () => {
    setDoing(undefined);
    void client.invalidateQueries({ queryKey: key });
  };
  return (
    <Page
      title={`Order ${id}`}
      actions={
        <>
          <Link href="/orders">All orders</Link>
          <PrivacyButton />
          {session.canChange && order && canRefund(order) && (
            <button type="button" onClick={() => setDoing("refund")}>
              Refund …
            </button>
          )}
          {session.canChange && !final(order) && (
            <button type="button" onClick={() => setDoing("cancel")}>
              Cancel …
            </button>
          )}
        </>
      }
    >
      {read.error && <Failure error={read.error} retry={() => void read.refetch()} />}
      {read.isPending && <p className="muted">Loading …</p>}
      {data && order && (
        <div className="order">
          <div>
            <section className="card">
              <h2>Timeline</h2>
              <Timeline steps={data.steps} />
              {data.traceId && (
                <p>
                  Trace <TraceLink traceId={data.traceId} />
                </p>
              )}
            </section>
            <Payment data={data} />
          </div>
          <OrderCard order={order} waitingFor={data.waitingFor} />
        </div>
      )}
      {doing === "cancel" && order && <CancelDialog order={order} onClose={() => setDoing(undefined)} onDone={again} />}
      {doing === "refund" && order && <RefundDialog order={order} onClose={() => setDoing(undefined)} onDone={again} />}
    </Page>
  );
}

const canRefund = (o: Order) =>
  o.state === OrderState.PAID || o.state === OrderState.SHIPPED || o.state === OrderState.SHIP_FAILED;

const WAITS: Partial<Record<WaitingFor, string>> = {
  [WaitingFor.CARD]: "It waits for a card.",
  [WaitingFor.PAYMENT_OUTCOME]: "It waits for the outcome of its charge.",
};

function OrderCard({ order: o, waitingFor }: { order: Order; waitingFor: WaitingFor }) {
  const a = o.shippingAddress;
  return (
    <section className="card">
      <h2>
        Order <StatePill state={o.state} />
      </h2>
      {WAITS[waitingFor] && <p className="notice warn">{WAITS[waitingFor]}</p>}
      {o.cancelReason && <p className="notice warn">{o.cancelReason}</p>}
      <table>
        <tbody>
          {o.lines.map((l) => (
            <tr key={l.sku}>
              <th scope="row">
                {l.quantity} × {l.name}
                <br />
                <Link href={`/orders?sku=${encodeURIComponent(l.sku)}`}>
                  <code>{l.sku}</code>
                </Link>
              </th>
              <td className="number">{money(l.total, "en")}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">Shipping</th>
            <td className="number">{money(o.shippingTotal, "en")}</td>
          </tr>
          <tr>
            <th scope="row">Total</th>
            <td className="number">
              <strong>{money(o.total, "en")}</strong>
            </td>
          </tr>
        </tbody>
      </table>
      <dl className="facts">
        <div>
          <dt>Customer</dt>
          <dd>
            <Link href={`/orders?customer=${encodeURIComponent(o.customerId)}`}>
              <code className="break">{o.customerId}</code>
            </Link>
          </dd>
        </div>
        <div>
          <dt>E-mail</dt>
          <dd>
            <Private text={o.email} />
          </dd>
        </div>
        <div>
          <dt>Parcel to</dt>
          <dd>
            <Private text={a?.name ?? ""} />
            <br />
            <Private text={[a?.street, a?.postalCode, a?.city, a?.region].filter(Boolean).join(", ")} />
            <br />
            {a?.countryCode}
          </dd>
        </div>
        <div>
          <dt>Tracking</dt>
          <dd>
            <code className="break">{o.trackingId}</code>
          </dd>
        </div>
        <div>
          <dt>Placed</dt>
          <dd>{moment(o.createTime)}</dd>
        </div>
        <div>
          <dt>Last change</dt>
          <dd>{moment(o.updateTime)}</dd>
        </div>
      </dl>
    </section>
  );
}

function Payment({ data }: { data: GetOrderTimelineResponse }) {
  const { payment: p, refunds } = data;
  if (!p) return null;
  return (
    <section className="card">
      <h2>Payment</h2>
      <p>
        {money(p.amount, "en")} {words(ChargeState[p.state])}
        {p.declineCode && `: ${words(p.declineCode)}`}, {p.attempts} {p.attempts === 1 ? "card" : "cards"} tried
      </p>
      {refunds.length > 0 && (
        <table>
          <caption>Refunds</caption>
          <tbody>
            {refunds.map((r) => (
              <tr key={r.id}>
                <th scope="row">{money(r.amount, "en")}</th>
                <td>{r.reason}</td>
                <td>{r.confirmTime ? `confirmed ${moment(r.confirmTime)}` : `requested ${moment(r.createTime)}`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
