import { problemOf, type Wait, watch } from "@spillway/client";
import { type Order, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import type { ChargeState } from "@spillway/client/gen/spillway/v1/payment_pb";
import { useEffect, useState } from "react";
import { shop } from "../api.js";
import { isRefunding, later } from "./steps.js";

export interface Watched {
  order?: Order;
  /** The connection is lost, and made again after this. */
  wait?: Wait;
  error?: unknown;
  /** What became of the money of a cancelled order. */
  charge?: ChargeState;
}

/** How often a cancelled order is read until its refund is confirmed: its stream has ended. */
const refundIntervalMs = 2_000;
/** How often it is read while its charge is not known: without one there is nothing to wait for. */
const maxReadsWithoutCharge = 10;

/** The order as it is, and after each change. `again` begins anew, after an error. */
export function useOrder(orderId: string): Watched & { again: () => void; set: (order?: Order) => void } {
  const [watched, setWatched] = useState<Watched>({});
  const [round, setRound] = useState(0);
  useEffect(() => {
    const leave = new AbortController();
    void round;
    void follow(orderId, leave.signal, setWatched);
    // A connection of before a sleep or a dead spot may be lost without a sign.
    const online = () => setRound((r) => r + 1);
    addEventListener("online", online);
    return () => {
      removeEventListener("online", online);
      leave.abort();
    };
  }, [orderId, round]);

  const cancelled = watched.order?.state === OrderState.CANCELLED;
  useEffect(() => (cancelled ? followRefund(orderId, setWatched) : undefined), [orderId, cancelled]);

  return {
    ...watched,
    again: () => setRound((r) => r + 1),
    set: (order) => order && setWatched((w) => ({ ...w, order: later(w.order, order) })),
  };
}

/** Reads a cancelled order until its money is back; the function that it returns ends that. */
function followRefund(orderId: string, set: (change: (w: Watched) => Watched) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const leave = new AbortController();
  let reads = 0;
  const read = async () => {
    reads++;
    const found = await shop.orders.getOrder({ orderId }, { signal: leave.signal }).catch(() => undefined);
    if (leave.signal.aborted) return;
    const charge = found?.payment?.state;
    const order = found?.order;
    if (order) set((w) => ({ ...w, order: later(w.order, order), charge }));
    const unknown = charge === undefined && !found?.order?.refundedTotal && reads < maxReadsWithoutCharge;
    if (unknown || isRefunding(charge) || found?.order?.refundPendingTotal) timer = setTimeout(read, refundIntervalMs);
  };
  void read();
  return () => {
    leave.abort();
    clearTimeout(timer);
  };
}

async function follow(orderId: string, signal: AbortSignal, set: (change: (w: Watched) => Watched) => void) {
  const onWait = (wait?: Wait) => set(({ order }) => ({ order, wait }));
  set((w) => (w.order?.id === orderId ? w : {}));
  try {
    for await (const next of watch(shop.orders, orderId, { signal, onWait })) {
      set(({ order }) => ({ order: later(order, next) }));
    }
  } catch (error) {
    if (!signal.aborted && problemOf(error).reason !== "CANCELED") set(({ order }) => ({ order, error }));
  }
}
