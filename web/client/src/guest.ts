import type { Client } from "@connectrpc/connect";
import { problemOf } from "./errors.js";
import type { CartService, MergeGuestCartResponse } from "./gen/spillway/v1/cart_pb.js";
import type { ClaimGuestOrdersResponse, OrderService } from "./gen/spillway/v1/order_pb.js";
import type { Orders } from "./place.js";
import { retrying } from "./retry.js";
import type { Store } from "./store.js";

/** Where the store has the token of the guest. */
export const tokenItem = "spillway.token";

/** What a shop of a customer needs to take over from the guest whose token is stored. */
export interface Takeover {
  cart: Pick<Client<typeof CartService>, "mergeGuestCart">;
  orders: Pick<Client<typeof OrderService>, "claimGuestOrders">;
  store: Store;
  /** Places orders with the token of the guest. */
  placingAs(guestToken: string): Orders;
}

/** Moves the cart of the guest whose token is stored. The token stays, for claimGuestOrders. */
export async function mergeGuestCart({ cart, store }: Takeover): Promise<MergeGuestCartResponse | undefined> {
  return withGuest(store, (guestToken) => cart.mergeGuestCart({ guestToken }));
}

/**
 * Claims the orders of the guest whose token is stored, and forgets the token. An idempotency key is one of the guest: sent again as the customer's it would make
 * a second order, so that what the guest began comes to its outcome first.
 */
export async function claimGuestOrders(
  { orders, store, placingAs }: Takeover,
  scopes: readonly string[],
): Promise<ClaimGuestOrdersResponse | undefined> {
  const guestToken = store.getItem(tokenItem);
  if (guestToken) await finish(placingAs(guestToken), scopes);
  const claimed = await withGuest(store, (token) => orders.claimGuestOrders({ guestToken: token }));
  // Another tab may have a new guest by now.
  if (claimed && store.getItem(tokenItem) === guestToken) store.removeItem(tokenItem);
  return claimed;
}

/**
 * Finds out what became of the guest's requests without an outcome. One that is refused has none to wait for. One that the customer began since the login would
 * make a second order, as the guest's.
 */
async function finish(placing: Orders, scopes: readonly string[]): Promise<void> {
  for (const scope of scopes) {
    if (placing.keys.open(scope)?.customer) continue;
    try {
      await placing.resume(scope);
    } catch (error) {
      if (placing.keys.open(scope) && problemOf(error).reason !== "TOKEN_INVALID") throw error;
    }
  }
}

/** Makes the call with the stored token, until it succeeds; not without one, or when its session has ended. */
async function withGuest<T>(store: Store, call: (guestToken: string) => Promise<T>): Promise<T | undefined> {
  const guestToken = store.getItem(tokenItem);
  if (!guestToken) return undefined;
  try {
    return await retrying(() => call(guestToken));
  } catch (error) {
    if (problemOf(error).reason === "GUEST_TOKEN_INVALID") return undefined;
    throw error;
  }
}
