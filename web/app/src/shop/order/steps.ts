import { CancelCode, type Order, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { ChargeState } from "@spillway/client/gen/spillway/v1/payment_pb";

export interface Step {
  /** The key of its text. */
  name: string;
  is: "done" | "now" | "next" | "failed";
}

type Shown = Pick<Order, "state" | "cancelCode" | "expireTime" | "refundedTotal" | "refundPendingTotal">;

/** The index of the last step that has happened, or happens now: that is when the order last changed. */
export const latest = (steps: readonly Step[]): number => steps.filter((s) => s.is !== "next").length - 1;

/**
 * Which of two states of an order is the later one. The response to a payment may come after the stream has shown that the parcel is on
 * its way, and nothing follows that; that to a cancellation after a refund was read. Times do not tell: they are those of several clocks.
 */
export function later(before: Order | undefined, next: Order): Order {
  if (before?.id !== next.id) return next;
  const ahead = progress(before) - progress(next) || Number(!!before.refundedTotal) - Number(!!next.refundedTotal);
  return ahead > 0 ? before : next;
}

/** The states in the sequence in which an order has them; it ends with either of the last two. */
const sequence = [OrderState.PENDING, OrderState.PAID, OrderState.SHIP_FAILED, OrderState.SHIPPED];

const progress = ({ state }: Order): number =>
  sequence.indexOf(state === OrderState.CANCELLED ? OrderState.SHIPPED : state);

/** The path of the order as its customer sees it: what is done, what happens now, what comes next. */
export function stepsOf(order: Shown, charge?: ChargeState): Step[] {
  const placed: Step = { name: "placed", is: "done" };
  switch (order.state) {
    case OrderState.PENDING:
      return [
        placed,
        { name: order.expireTime ? "waitsForCard" : "waitsForAnswer", is: "now" },
        { name: "shipped", is: "next" },
      ];
    case OrderState.PAID:
      return [placed, { name: "paid", is: "done" }, { name: "packing", is: "now" }];
    case OrderState.SHIPPED:
      return [placed, { name: "paid", is: "done" }, { name: "shipped", is: "done" }];
    case OrderState.SHIP_FAILED:
      return [placed, { name: "paid", is: "done" }, { name: "shipFailed", is: "now" }];
    case OrderState.CANCELLED:
      return [placed, { name: "cancelled", is: "failed" }, ...refundSteps(order, charge)];
    default:
      return [placed];
  }
}

function refundSteps(order: Shown, charge?: ChargeState): Step[] {
  if (order.refundPendingTotal || isRefunding(charge)) return [{ name: "refunding", is: "now" }];
  if (order.refundedTotal) return [{ name: "refunded", is: "done" }];
  return [];
}

/** Whether the money of a cancelled order is still to come back. */
export const isRefunding = (charge?: ChargeState): boolean =>
  charge === ChargeState.SUCCEEDED || charge === ChargeState.REFUNDING || charge === ChargeState.PENDING;

/** The key of the text about why an order was cancelled. */
export const cancelText = (code: CancelCode): string => `cancelCode.${CancelCode[code] ?? "UNSPECIFIED"}`;

/** Whether its customer can cancel the order. */
export const canCancel = (state: OrderState): boolean =>
  state === OrderState.PENDING || state === OrderState.PAID || state === OrderState.SHIP_FAILED;
