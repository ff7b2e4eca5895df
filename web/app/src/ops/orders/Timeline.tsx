import { type OrderStep, OrderStepKind, OrderStepState } from "@spillway/client/gen/spillway/v1/order_pb";
import { Link } from "wouter";
import { millis, moment, span, words } from "../shell/format.ts";

const NAMES: Partial<Record<OrderStepKind, string>> = {
  [OrderStepKind.CLAIMED]: "claimed for the carrier",
  [OrderStepKind.REFUND_REQUESTED]: "refund requested",
  [OrderStepKind.DEAD_LETTER]: "dead letter",
};

const TONES: Partial<Record<OrderStepState, string>> = {
  [OrderStepState.DONE]: "good",
  [OrderStepState.WAITING]: "warn",
  [OrderStepState.FAILED]: "bad",
};

/** The steps of an order over all stages, oldest first. */
export function Timeline({ steps }: { steps: readonly OrderStep[] }) {
  return (
    <ol className="timeline">
      {steps.map((s, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two steps of one kind differ by their place alone.
        <li key={i} className={TONES[s.state] ?? ""}>
          <strong>{NAMES[s.kind] ?? words(OrderStepKind[s.kind])}</strong>
          {s.state !== OrderStepState.DONE && (
            <span className={`pill ${TONES[s.state] ?? ""}`}>{words(OrderStepState[s.state])}</span>
          )}
          {s.attempts > 0 && (
            <span className="muted"> · {s.attempts === 1 ? "1 failed attempt" : `${s.attempts} failed attempts`}</span>
          )}
          <div className="muted">{when(s)}</div>
          {s.detail && <div className="break">{s.detail}</div>}
          {s.deadLetterId > 0n && (
            <Link href={`/dead-letters/${s.deadLetterId}`}>Dead letter {String(s.deadLetterId)}</Link>
          )}
        </li>
      ))}
    </ol>
  );
}

/** When, and how long after the step before and after the beginning. Durations are never negative. */
export function when(s: Pick<OrderStep, "time" | "sincePrevious" | "sinceStart">): string {
  if (!s.time) return "the time is not recorded";
  const parts = [moment(s.time)];
  if (s.sincePrevious) parts.push(`+${span(millis(s.sincePrevious))}`);
  if (s.sinceStart && millis(s.sinceStart) > 0) parts.push(`${span(millis(s.sinceStart))} after the order`);
  return parts.join(" · ");
}
