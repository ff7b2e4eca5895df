import { describe, expect, it } from "vitest";
import { createShop, memoryStorage } from "../src/index.js";

/** A server with these answers, one after the other, and the requests that it got. */
function server(...answers: Response[]) {
  const requests: { method: string; authorization: string | null; body: Record<string, unknown> }[] = [];
  const fetched: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const method = request.url.slice(request.url.lastIndexOf("/") + 1);
    requests.push({ method, authorization: request.headers.get("Authorization"), body: await request.json() });
    return answers.shift() ?? json(500, { code: "internal" });
  };
  return { requests, fetched };
}

const json = (status: number, body: unknown) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

const refusal = (status: number, code: string, reason: string) =>
  json(status, {
    code,
    details: [{ type: "google.rpc.ErrorInfo", value: btoa(`\n${String.fromCharCode(reason.length)}${reason}`) }],
  });

function stored(token?: string) {
  const store = memoryStorage();
  if (token) store.setItem("spillway.token", token);
  return store;
}

describe("mergeGuestCart", () => {
  it("sends the customer's token, and the stored guest's in the request, until it succeeds", async () => {
    const merged = json(200, {
      cart: { items: [{ sku: "MUG", quantity: 2 }] },
      leftOut: [{ sku: "PEN", quantity: 1 }],
    });
    const { requests, fetched } = server(refusal(503, "unavailable", "UNAVAILABLE"), merged);
    const store = stored("guest's");
    const shop = createShop({ baseUrl: "http://shop.test", token: "ada's", store, fetch: fetched });
    const response = await shop.mergeGuestCart();
    expect(response?.cart?.items[0]).toMatchObject({ sku: "MUG", quantity: 2 });
    expect(response?.leftOut[0]).toMatchObject({ sku: "PEN", quantity: 1 });
    const sent = { method: "MergeGuestCart", authorization: "Bearer ada's", body: { guestToken: "guest's" } };
    expect(requests).toEqual([sent, sent]);
    expect(store.getItem("spillway.token")).toBe("guest's");
  });
  it("calls nothing without a guest, or as the guest", async () => {
    const { requests, fetched } = server();
    const base = { baseUrl: "http://shop.test", fetch: fetched };
    expect(await createShop({ ...base, token: "ada's", store: stored() }).mergeGuestCart()).toBeUndefined();
    expect(await createShop({ ...base, store: stored("guest's") }).mergeGuestCart()).toBeUndefined();
    expect(requests).toEqual([]);
  });
  it("has nothing to move when the guest's session has ended, and reports other errors", async () => {
    const { fetched } = server(
      refusal(400, "invalid_argument", "GUEST_TOKEN_INVALID"),
      refusal(403, "permission_denied", "LOGIN_REQUIRED"),
    );
    const shop = createShop({ baseUrl: "http://shop.test", token: "ada's", store: stored("old"), fetch: fetched });
    expect(await shop.mergeGuestCart()).toBeUndefined();
    await expect(shop.mergeGuestCart()).rejects.toThrow();
  });
});

const baseUrl = "http://shop.test";
const claimed = () => json(200, {});
const order = (id: string) => json(200, { order: { id } });
const request = { lines: [{ sku: "MUG", quantity: 1 }] };

/** The store of a guest whose request in the scope has no outcome, and its key. */
async function interrupted(scope: string) {
  const store = stored("guest's");
  const { fetched, requests } = server(refusal(500, "internal", "INTERNAL"));
  const shop = createShop({ baseUrl, store, fetch: fetched });
  await expect(shop.placing.place(scope, request)).rejects.toThrow();
  expect(shop.placing.keys.open(scope)).toBeDefined();
  return { store, key: requests[0]?.body.idempotencyKey };
}

describe("claimGuestOrders", () => {
  it("finds out as the guest what became of the guest's request, claims as the customer, and forgets the token", async () => {
    const { store, key } = await interrupted("cart");
    const { requests, fetched } = server(order("A"), refusal(503, "unavailable", "UNAVAILABLE"), claimed());
    const shop = createShop({ baseUrl, token: "ada's", store, fetch: fetched });
    expect(await shop.claimGuestOrders("cart", "sale")).toBeDefined();
    expect(requests.map(({ method, authorization }) => [method, authorization])).toEqual([
      ["PlaceOrder", "Bearer guest's"],
      ["ClaimGuestOrders", "Bearer ada's"],
      ["ClaimGuestOrders", "Bearer ada's"],
    ]);
    expect(requests[0]?.body.idempotencyKey).toBe(key);
    expect(requests[1]?.body).toEqual({ guestToken: "guest's" });
    expect(shop.placing.keys.last("cart")?.orderId).toBe("A");
    expect(store.getItem("spillway.token")).toBeNull();
    expect(await shop.claimGuestOrders("cart")).toBeUndefined();
    expect(requests).toHaveLength(3);
  });
  it("does not send as the guest what the customer began after the login", async () => {
    const store = stored("guest's");
    const { requests, fetched } = server(refusal(500, "internal", "INTERNAL"), claimed(), order("A"));
    const shop = createShop({ baseUrl, token: "ada's", store, fetch: fetched });
    await expect(shop.placing.place("cart", request)).rejects.toThrow();
    expect(await shop.claimGuestOrders("cart")).toBeDefined();
    expect((await shop.placing.resume("cart"))?.orderId).toBe("A");
    expect(requests.map(({ method, authorization }) => [method, authorization])).toEqual([
      ["PlaceOrder", "Bearer ada's"],
      ["ClaimGuestOrders", "Bearer ada's"],
      ["PlaceOrder", "Bearer ada's"],
    ]);
    expect(requests[2]?.body.idempotencyKey).toBe(requests[0]?.body.idempotencyKey);
  });
  it("does not claim while the outcome is unknown, and claims when the request is refused", async () => {
    const { store } = await interrupted("cart");
    const { requests, fetched } = server(
      refusal(500, "internal", "INTERNAL"),
      refusal(400, "failed_precondition", "SOLD_OUT"),
      claimed(),
    );
    const shop = createShop({ baseUrl, token: "ada's", store, fetch: fetched });
    await expect(shop.claimGuestOrders("cart")).rejects.toThrow();
    expect(requests.map((r) => r.method)).toEqual(["PlaceOrder"]);
    expect(store.getItem("spillway.token")).toBe("guest's");
    expect(await shop.claimGuestOrders("cart")).toBeDefined();
    expect(requests.map((r) => r.method)).toEqual(["PlaceOrder", "PlaceOrder", "ClaimGuestOrders"]);
  });
  it("keeps the token when the claim is refused, and claims nothing without a guest or for one whose session has ended", async () => {
    const { requests, fetched } = server(
      refusal(400, "failed_precondition", "GUEST_CLAIMED"),
      refusal(400, "invalid_argument", "GUEST_TOKEN_INVALID"),
    );
    const store = stored("guest's");
    const shop = createShop({ baseUrl, token: "ada's", store, fetch: fetched });
    await expect(shop.claimGuestOrders("cart")).rejects.toThrow();
    expect(await shop.claimGuestOrders()).toBeUndefined();
    expect(store.getItem("spillway.token")).toBe("guest's");
    expect(
      await createShop({ baseUrl, token: "ada's", store: stored(), fetch: fetched }).claimGuestOrders("cart"),
    ).toBeUndefined();
    expect(await createShop({ baseUrl, store, fetch: fetched }).claimGuestOrders("cart")).toBeUndefined();
    expect(requests).toHaveLength(2);
  });
  it("starts a new session when a customer has claimed the stored guest", async () => {
    const { requests, fetched } = server(
      refusal(400, "failed_precondition", "GUEST_CLAIMED"),
      json(200, { token: "new guest's" }),
      order("B"),
    );
    const store = stored("guest's");
    const placed = await createShop({ baseUrl, store, fetch: fetched }).placing.place("cart", request);
    expect(placed.orderId).toBe("B");
    expect(requests.map((r) => r.authorization)).toEqual(["Bearer guest's", null, "Bearer new guest's"]);
    expect(store.getItem("spillway.token")).toBe("new guest's");
  });
});
