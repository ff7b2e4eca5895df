import { describe, expect, it } from "vitest";
import { createShop, memoryStorage } from "../src/index.js";

/** A server that answers MergeGuestCart, and the requests that it got. */
function server(...answers: Response[]) {
  const requests: { authorization: string | null; body: unknown }[] = [];
  const fetched: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    expect(request.url).toContain("/spillway.v1.CartService/MergeGuestCart");
    requests.push({ authorization: request.headers.get("Authorization"), body: await request.json() });
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
    expect(requests).toEqual(Array(2).fill({ authorization: "Bearer ada's", body: { guestToken: "guest's" } }));
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
