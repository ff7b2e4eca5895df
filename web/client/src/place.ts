import { create, fromJson, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { problemOf, type Reason } from "./errors.js";
import { type CheckoutService, PlaceOrderRequestSchema } from "./gen/spillway/v1/checkout_pb.js";
import type { Order } from "./gen/spillway/v1/order_pb.js";
import { CardSchema } from "./gen/spillway/v1/payment_pb.js";
import type { Attempt, OrderKeys } from "./keys.js";
import { type RetryOptions, retrying } from "./retry.js";
import { exclusively } from "./store.js";

export interface PlaceOptions extends RetryOptions {
  /** When the customer saw the page on which they decided, by Date.now(): an order of the same scope that was made since is this one. */
  sinceMs?: number;
}

/** What became of a purchase. */
export interface Placed {
  orderId: string;
  /** Not set when the order was made before this call, by another tab or the first of two clicks: GetOrder has it. */
  order?: Order;
}

/** The errors that may not pass and yet do not mean that there is no order. */
const unclear: readonly Reason[] = [
  "CANCELED",
  "IDEMPOTENCY_KEY_REUSED",
  "INTERNAL",
  "UNKNOWN",
  "TOKEN_MISSING",
  "TOKEN_INVALID",
];

type Request = MessageInitShape<typeof PlaceOrderRequestSchema>;

/** Places orders, each once: double clicks, reloads, second tabs and lost responses get the order that was made. */
export class Orders {
  private readonly running = new Map<string, Promise<Placed>>();

  constructor(
    private readonly checkout: Pick<Client<typeof CheckoutService>, "placeOrder">,
    readonly keys: OrderKeys,
    /** Whether the orders are those of a customer, and not of the guest whose token is stored. */
    private readonly customer?: boolean,
  ) {}

  /**
   * Places an order. The scope names what is bought, such as "cart": while the outcome of an earlier request of the scope is not known, that request
   * is sent again, with its key, instead of this one. An error after which the outcome is still unknown leaves it so: call place or resume again.
   */
  place(scope: string, request: Request, options: PlaceOptions = {}): Promise<Placed> {
    return this.once(scope, () => {
      const { card } = request;
      const stored = toJson(
        PlaceOrderRequestSchema,
        create(PlaceOrderRequestSchema, { ...request, card: undefined, idempotencyKey: "" }),
      );
      const attempt = this.keys.begin(scope, stored, options.sinceMs ?? Date.now(), this.customer);
      return this.send(attempt, card, options);
    });
  }

  /**
   * Finds out what became of the scope's request without an outcome, after a reload: it sends it again, with its key, and without the card, which is
   * gone. An order that was not made yet is then reserved and can be paid by PayOrder; the server names one that was made with the card. It returns
   * nothing if there is no such request.
   */
  async resume(scope: string, options: RetryOptions = {}): Promise<Placed | undefined> {
    if (!this.keys.open(scope)) return undefined;
    return this.once(scope, async () => {
      const attempt = this.keys.open(scope) ?? this.keys.last(scope);
      return attempt ? this.send(attempt, undefined, options) : { orderId: "" };
    });
  }

  /** Calls of one scope, in all tabs, are one at a time; in this page the second joins the first. */
  private once(scope: string, run: () => Promise<Placed>): Promise<Placed> {
    const running = this.running.get(scope);
    if (running) return running;
    const mine = exclusively(`spillway.order.${scope}`, run).finally(() => this.running.delete(scope));
    this.running.set(scope, mine);
    return mine;
  }

  private async send(attempt: Attempt, card: Request["card"], options: RetryOptions): Promise<Placed> {
    if (attempt.orderId) return { orderId: attempt.orderId };
    const request: Request = {
      ...fromJson(PlaceOrderRequestSchema, attempt.request),
      card: card && create(CardSchema, card),
      idempotencyKey: attempt.key,
    };
    try {
      const { order } = await retrying(() => this.checkout.placeOrder(request, { signal: options.signal }), options);
      const orderId = order?.id ?? "";
      this.keys.end(attempt, orderId);
      return { orderId, order };
    } catch (error) {
      const problem = problemOf(error);
      // The key made an order with the card: without the card, the request is another one.
      const made = problem.reason === "IDEMPOTENCY_KEY_REUSED" && !card && problem.metadata.orderId;
      if (made) return { orderId: this.keys.end(attempt, made).orderId ?? "" };
      // The key of a request with another price can still have made an order: it is sent again with the next total.
      if (problem.reason === "PRICE_CHANGED") this.keys.refuse(attempt);
      else if (!problem.mayPass && !unclear.includes(problem.reason)) this.keys.end(attempt);
      throw error;
    }
  }
}
