// What the browser of browser_test.go runs: a page that buys and watches with the client stack that every page can have, and
// reports to its own site what it saw.
import { Code, ConnectError, createClient, type Client, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { CheckoutService } from "../../../web/client/src/gen/spillway/v1/checkout_pb";
import { OrderService, OrderState } from "../../../web/client/src/gen/spillway/v1/order_pb";
import { SessionService } from "../../../web/client/src/gen/spillway/v1/session_pb";

/** Bounds a call, so that one that hangs is reported as deadline_exceeded, well before the test gives the page up. */
const callTimeoutMs = 60_000;

/** How many orders are placed until the page has seen one as PAID: on a busy machine, one may be shipped before it is watched. */
const tries = 5;

const card = { number: "4242424242424242", cvv: "123", expiryYear: 2030, expiryMonth: 1 };

const order = {
  lines: [{ sku: "OLJCESPC7Z", quantity: 1 }],
  currencyCode: "EUR",
  email: "a@example.com",
  shippingAddress: { name: "A", street: "S 1", city: "Berlin", postalCode: "10115", countryCode: "DE" },
};

/** Makes a transport of one protocol. */
type Connect = (...interceptors: Interceptor[]) => Transport;

const bearer = (token: string): Interceptor => (next) => (req) => {
  req.header.set("Authorization", `Bearer ${token}`);
  return next(req);
};

/** A guest of the shop. */
class Guest {
  private readonly checkout: Client<typeof CheckoutService>;
  private readonly orders: Client<typeof OrderService>;

  private constructor(transport: Transport) {
    this.checkout = createClient(CheckoutService, transport);
    this.orders = createClient(OrderService, transport);
  }

  static async of(connect: Connect): Promise<Guest> {
    const { token } = await createClient(SessionService, connect()).startGuestSession({});
    return new Guest(connect(bearer(token)));
  }

  async place(more: { card?: typeof card } = {}): Promise<string> {
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const placed = await this.checkout.placeOrder({ ...order, ...more }, { headers });
    return placed.order?.id ?? "";
  }

  /** Follows an order until the stream ends: its states as they come, with their tokens, and how it ended. */
  async watch(orderId: string, resumeToken = "", signal?: AbortSignal, on?: (state: OrderState) => unknown) {
    const seen = { story: [] as string[], tokens: [] as string[] };
    try {
      for await (const message of this.orders.watchOrder({ orderId, resumeToken }, { signal })) {
        const state = message.order?.state ?? OrderState.UNSPECIFIED;
        seen.story.push(OrderState[state]);
        seen.tokens.push(message.resumeToken);
        await on?.(state);
      }
      seen.story.push("end");
    } catch (e) {
      seen.story.push(outcome(e));
    }
    return seen;
  }

  /** Buys something and follows it from PAID on. */
  async buyAndWatch() {
    for (let n = 1; ; n++) {
      const id = await this.place({ card });
      const whole = await this.watch(id);
      if (whole.story[0] === "PAID" || n === tries) return { id, ...whole };
    }
  }

  /** Pays once the stream has said that the order is PENDING, and leaves it at PAID: a stream that is held back gets no further. */
  private async payWhileWatching() {
    const orderId = await this.place();
    const leave = new AbortController();
    return this.watch(orderId, "", leave.signal, (state) => {
      if (state === OrderState.PENDING) return this.checkout.payOrder({ orderId, card });
      if (state === OrderState.PAID) leave.abort();
    });
  }

  /** What payWhileWatching has seen, again with another order if that was shipped before it was seen as PAID. */
  async payUntilSeen(): Promise<string[]> {
    for (let n = 1; ; n++) {
      const { story } = await this.payWhileWatching();
      if (story.includes("PAID") || n === tries) return story;
    }
  }
}

const outcome = (e: unknown): string => Code[ConnectError.from(e).code];

/** Does with one protocol all that is to be tried, and says of each part what was seen. */
async function tour(connect: Connect): Promise<Record<string, string[]>> {
  try {
    const guest = await Guest.of(connect);
    const other = await Guest.of(connect);
    const whole = await guest.buyAndWatch();
    const id = whole.id;
    return {
      whole: whole.story,
      resumed: (await guest.watch(id, whole.tokens[0])).story,
      nonsense: (await guest.watch(id, "nonsense")).story,
      others: (await other.watch(id)).story,
      live: await guest.payUntilSeen(),
    };
  } catch (e) {
    return { failed: [outcome(e)] };
  }
}

async function main() {
  const baseUrl = new URLSearchParams(location.search).get("shop") ?? "";
  const options = { baseUrl, defaultTimeoutMs: callTimeoutMs };
  const [reached, connect, grpcWeb] = await Promise.all([
    // Needs nobody's leave, because a page cannot read the answer: it tells a shop that refuses from one that is not there.
    fetch(`${baseUrl}/livez`, { mode: "no-cors" }).then((r) => r.type),
    tour((...interceptors) => createConnectTransport({ ...options, interceptors })),
    tour((...interceptors) => createGrpcWebTransport({ ...options, interceptors })),
  ]);
  return { reached, connect, grpcWeb };
}

const report = await main().catch((e: unknown) => ({ broken: String(e) }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });

export {};
