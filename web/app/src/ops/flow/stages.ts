import { BreakerState, PipelineStage as S, type StageFigures } from "@spillway/client/gen/spillway/v1/ops_pb";

/** What a stage is called, what it does, and what its depth counts. */
export interface StageInfo {
  name: string;
  text: string;
  /** What waits; undefined where the depth is not known here. */
  waiting?: string;
}

export const STAGES: Partial<Record<S, StageInfo>> = {
  [S.ACCEPT]: { name: "Accept", text: "Calls of PlaceOrder", waiting: "in progress" },
  [S.RESERVE]: { name: "Reserve", text: "Stock is deducted" },
  [S.CHARGE]: { name: "Charge", text: "Cards are charged", waiting: "in progress" },
  [S.SETTLE]: { name: "Settle", text: "Charged orders become PAID" },
  [S.FLUSH]: { name: "Flush", text: "Stock is applied to SQL", waiting: "entries behind" },
  [S.RELAY]: { name: "Relay", text: "Entries go to the queue", waiting: "entries behind" },
  [S.WRITE]: { name: "Write", text: "Orders are written to SQL" },
  [S.SHIP]: { name: "Ship", text: "Paid orders go to the carrier", waiting: "orders paid" },
  [S.CONFIRM]: { name: "Confirm", text: "Confirmations are mailed" },
  [S.MAIL]: { name: "Mail", text: "Other mails, and those tried again", waiting: "mails due" },
  [S.RECONCILE]: { name: "Reconcile", text: "Ends orders that stay PENDING", waiting: "orders pending" },
  [S.CANCEL]: { name: "Cancel", text: "Finishes cancellations", waiting: "unfinished" },
  [S.REFUND]: { name: "Refund", text: "Repeats refunds until confirmed", waiting: "unconfirmed" },
  [S.RESCUE]: { name: "Rescue", text: "Ships what the carrier refused", waiting: "ship failed" },
  [S.REPAIR]: { name: "Repair", text: "Applies what a lost message left undone" },
  [S.LOST]: { name: "Lost", text: "Cancels orders lost with Redis" },
  [S.DEAD_LETTER]: { name: "Dead letters", text: "Drains the broker's dead letters", waiting: "open" },
};

/** The columns of the diagram, in the order of an order's path. */
export const FRONT = [S.ACCEPT, S.RESERVE, S.CHARGE, S.SETTLE] as const;
export const DRAIN = [S.FLUSH, S.RELAY] as const;
export const DELIVERY = [S.WRITE, S.SHIP, S.CONFIRM] as const;
export const REPAIR = [S.RECONCILE, S.CANCEL, S.REFUND, S.RESCUE, S.MAIL, S.REPAIR, S.LOST, S.DEAD_LETTER] as const;

export const infoOf = (stage: S): StageInfo => STAGES[stage] ?? { name: `Stage ${stage}`, text: "" };

export type Tone = "good" | "warn" | "bad" | "idle";

/** What PlaceOrder refuses because the shop has trouble, and not because of the customer. */
const troubles = [
  "INTERNAL",
  "UNAVAILABLE",
  "RESERVE_SOLD_OUT",
  "DEADLINE_EXCEEDED",
  "TOO_MANY_CALLS",
  "OVERLOADED",
  "JOURNAL_FULL",
  "NOT_DURABLE_YET",
  "RATES_TOO_OLD",
];

/** Whether calls fail. Orders that are sold out or declined are no failures of the shop. */
export function failing(s: StageFigures): boolean {
  if (s.stage === S.ACCEPT) return s.outcomes.some((o) => troubles.includes(o.outcome) && o.perSecond > 0);
  return (s.failuresPerSecond ?? 0) > 0;
}

/** How a stage is doing: bad stands still, warn has trouble, idle has no figures. */
export function toneOf(s: StageFigures | undefined): Tone {
  if (!s) return "idle";
  const depth = s.depth ?? 0n;
  if (s.breaker === BreakerState.OPEN || (s.processes === 0 && depth > 0n)) return "bad";
  if (s.breaker === BreakerState.HALF_OPEN || s.processes === 0 || failing(s)) return "warn";
  if (s.stage === S.DEAD_LETTER && depth > 0n) return "warn";
  return "good";
}

export const BREAKERS: Record<BreakerState, string> = {
  [BreakerState.UNSPECIFIED]: "none",
  [BreakerState.CLOSED]: "closed",
  [BreakerState.HALF_OPEN]: "half open",
  [BreakerState.OPEN]: "open",
};
