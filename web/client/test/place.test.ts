import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { PlaceOrderResponseSchema } from "../src/gen/spillway/v1/checkout_pb.js";
import { memoryStorage, OrderKeys, Orders, type Store } from "../src/index.js";

const card = { number: "4242424242424242", cvv: "123", expiryYear: 2030, expiryMonth: 1 };
const request = { lines: [{ sku: "MUG", quantity: 1 }], currencyCode: "EUR", email: "a@example.com", card };
const noSleep = { sleep: async () => undefined };

const refusal = (code: Code, reason: string, metadata = {}) =>
  new ConnectError(reason, code, undefined, [
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: "spillway", metadata }) },
  ]);
const lost = () => new TypeError("Failed to fetch");

/** A shop that makes one order a key, and whose responses fail as the test sets. */
class FakeShop {
  readonly keys: string[] = [];
  readonly cards: (string | undefined)[] = [];
  failures: unknown[] = [];
  private readonly made = new Map<string, string>();

  placeOrder = async (req: { idempotencyKey?: string; card?: { number?: string } }) => {
    await Promise.resolve();
    const key = req.idempotencyKey ?? "";
    this.keys.push(key);
    this.cards.push(req.card?.number);
    const failure = this.failures.shift();
    if (failure instanceof ConnectError && failure.code === Code.FailedPrecondition) throw failure;
    if (!this.made.has(key)) this.made.set(key, `order-${this.made.size + 1}`);
    if (failure) throw failure; // The order was made, and the response was lost.
    return create(PlaceOrderResponseSchema, { order: { id: this.made.get(key) } });
  };
}

describe("Orders", () => {
  let shop: FakeShop;
  let store: Store;
  let orders: Orders;
  const page = () => new Orders(shop, new OrderKeys(store));
  beforeEach(() => {
    shop = new FakeShop();
    store = memoryStorage();
    orders = page();
  });

  it("stores the key, and no card, before the request is sent", async () => {
    let stored: string | null = null;
    const spy: FakeShop["placeOrder"] = (req) => {
      stored = store.getItem("spillway.order.cart");
      return shop.placeOrder(req);
    };
    await new Orders({ placeOrder: spy as never }, new OrderKeys(store)).place("cart", request);
    expect(stored).toContain(shop.keys[0]);
    expect(stored).not.toContain("4242");
    expect(shop.cards).toEqual([card.number]);
  });
  it("retries with the same key", async () => {
    shop.failures = [lost(), refusal(Code.ResourceExhausted, "JOURNAL_FULL")];
    const waits: number[] = [];
    const placed = await orders.place("cart", request, { ...noSleep, onWait: (w) => waits.push(w.attempt) });
    expect(placed.orderId).toBe("order-1");
    expect(new Set(shop.keys).size).toBe(1);
    expect(waits).toEqual([1, 2]);
  });
  it("makes one order of a double click", async () => {
    const sinceMs = Date.now();
    const both = await Promise.all([orders.place("cart", request), orders.place("cart", request)]);
    expect(both.map((p) => p.orderId)).toEqual(["order-1", "order-1"]);
    expect((await orders.place("cart", request, { sinceMs })).orderId).toBe("order-1");
    expect(shop.keys).toHaveLength(1);
  });
  it("makes another order of another decision", async () => {
    await orders.place("cart", request);
    const later = Date.now() + 1;
    expect((await orders.place("cart", request, { sinceMs: later })).orderId).toBe("order-2");
  });
  it("finds the order after a reload in mid-flight", async () => {
    shop.failures = [lost()];
    await expect(orders.place("cart", request, { attempts: 1 })).rejects.toThrow();
    const reloaded = page();
    expect(reloaded.keys.open("cart")?.key).toBe(shop.keys[0]);
    expect((await reloaded.resume("cart"))?.orderId).toBe("order-1");
    expect(shop.cards).toEqual([card.number, undefined]);
    expect(await reloaded.resume("cart")).toBeUndefined();
  });
  it("finds the order of a card after a reload: without the card the request is another one", async () => {
    shop.failures = [lost(), refusal(Code.AlreadyExists, "IDEMPOTENCY_KEY_REUSED", { orderId: "order-1" })];
    await expect(orders.place("cart", request, { attempts: 1 })).rejects.toThrow();
    const reloaded = page();
    expect((await reloaded.resume("cart", noSleep))?.orderId).toBe("order-1");
    expect(reloaded.keys.open("cart")).toBeUndefined();
  });
  it("shows a second tab the order of the first", async () => {
    const sinceMs = Date.now();
    await orders.place("cart", request, { sinceMs });
    expect((await page().place("cart", request, { sinceMs })).orderId).toBe("order-1");
    expect(shop.keys).toHaveLength(1);
  });
  it("takes a new key after a decline, and keeps it after another price", async () => {
    shop.failures = [
      refusal(Code.FailedPrecondition, "PAYMENT_DECLINED"),
      refusal(Code.FailedPrecondition, "PRICE_CHANGED"),
    ];
    for (let i = 0; i < 2; i++) await expect(orders.place("cart", request)).rejects.toThrow();
    await orders.place("cart", { ...request, currencyCode: "USD" });
    expect(shop.keys[1]).not.toBe(shop.keys[0]);
    expect(shop.keys[2]).toBe(shop.keys[1]);
  });
  it("forgets the address once the outcome is known", async () => {
    await orders.place("cart", request);
    expect(store.getItem("spillway.order.cart")).not.toContain("a@example.com");
  });
  it("does not repeat what the server has forgotten", async () => {
    let now = 0;
    const keys = new OrderKeys(store, { now: () => now });
    keys.begin("cart", {}, 0);
    now = 24 * 60 * 60_000 + 1;
    expect(keys.open("cart")).toBeUndefined();
  });
});
