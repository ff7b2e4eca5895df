import { problemOf, type Wait, watch } from "@spillway/client";
import { type Order, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { useEffect, useState } from "react";
import { shop } from "../api.js";

export interface Watched {
  order?: Order;
  /** The connection is lost, and made again after this. */
  wait?: Wait;
  error?: unknown;
}

/** How often a cancelled order is read until its refund is confirmed: its stream has ended. */
const refundIntervalMs = 2_000;

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

  const { order } = watched;
  const refunding = order?.state === OrderState.CANCELLED && order.refundPendingTotal !== undefined;
  useEffect(() => {
    if (!refunding) return;
    const timer = setInterval(async () => {
      const { order } = await shop.orders.getOrder({ orderId }).catch(() => ({ order: undefined }));
      if (order) setWatched((w) => ({ ...w, order }));
    }, refundIntervalMs);
    return () => clearInterval(timer);
  }, [orderId, refunding]);

  return {
    ...watched,
    again: () => setRound((r) => r + 1),
    set: (order) => order && setWatched((w) => ({ ...w, order })),
  };
}

async function follow(orderId: string, signal: AbortSignal, set: (w: Watched) => void) {
  let order: Order | undefined;
  try {
    for await (order of watch(shop.orders, orderId, { signal, onWait: (wait) => set({ order, wait }) })) set({ order });
  } catch (error) {
    if (!signal.aborted && problemOf(error).reason !== "CANCELED") set({ order, error });
  }
}
