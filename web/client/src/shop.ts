import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { problemOf, type Reason } from "./errors.js";
import { CartService, type MergeGuestCartResponse } from "./gen/spillway/v1/cart_pb.js";
import { CatalogService } from "./gen/spillway/v1/catalog_pb.js";
import { CheckoutService } from "./gen/spillway/v1/checkout_pb.js";
import { CurrencyService } from "./gen/spillway/v1/currency_pb.js";
import { type ClaimGuestOrdersResponse, OrderService } from "./gen/spillway/v1/order_pb.js";
import { SessionService } from "./gen/spillway/v1/session_pb.js";
import { ShippingService } from "./gen/spillway/v1/shipping_pb.js";
import { claimGuestOrders, mergeGuestCart, type Takeover, tokenItem } from "./guest.js";
import { OrderKeys } from "./keys.js";
import { Orders } from "./place.js";
import { retrying } from "./retry.js";
import { exclusively, memoryStorage, type Store } from "./store.js";

export interface ShopOptions {
  /** The shop's address, such as "http://localhost:8080"; in a page that the shop serves, "". */
  baseUrl: string;
  /** Keeps the token and the idempotency keys: localStorage in a page. Without it they last as long as the process. */
  store?: Store;
  /** A token of your own, such as an operator's. Without one, the first call that needs one starts a guest session. */
  token?: string;
  fetch?: typeof fetch;
  /** Run outermost. */
  interceptors?: Interceptor[];
  /** How long a call may take: 20 s by default, 0 for no limit. Streams have none. */
  timeoutMs?: number;
}

/** The services of a shop, for one customer. */
export interface Shop {
  catalog: Client<typeof CatalogService>;
  cart: Client<typeof CartService>;
  checkout: Client<typeof CheckoutService>;
  orders: Client<typeof OrderService>;
  currency: Client<typeof CurrencyService>;
  shipping: Client<typeof ShippingService>;
  /** Places orders, each once, whatever happens meanwhile. */
  placing: Orders;
  /**
   * After a login, in a shop that was made with the customer's token and the store of the guest's: moves the guest's cart into the customer's. It may
   * be called again. Undefined if there is no guest session, or if it has ended.
   */
  mergeGuestCart(): Promise<MergeGuestCartResponse | undefined>;
  /**
   * After mergeGuestCart: makes the guest's orders the customer's, and forgets the guest's token. Before that it finds out, as the guest, what became of the
   * requests without an outcome in these scopes of `placing`: name all that the guest used. It may be called again. Undefined as for mergeGuestCart.
   */
  claimGuestOrders(...scopes: string[]): Promise<ClaimGuestOrdersResponse | undefined>;
  /** For services that are not listed here, and for connect-query. */
  transport: Transport;
}

const timeoutMs = 20_000;

/** The services that need no token, but for Shipping's own shipments. */
const open: ReadonlySet<string> = new Set([SessionService.typeName, CatalogService.typeName, CurrencyService.typeName]);

/** The reasons by which the session of a guest has ended: it expired, or a customer has claimed its orders. */
const ended: ReadonlySet<Reason> = new Set(["TOKEN_INVALID", "GUEST_CLAIMED"]);

/** Connects to a shop. Nothing is called before you do. */
export function createShop(options: ShopOptions): Shop {
  const store = options.store ?? memoryStorage();
  const connect = (...interceptors: Interceptor[]) =>
    createConnectTransport({
      baseUrl: options.baseUrl,
      fetch: options.fetch,
      defaultTimeoutMs: options.timeoutMs ?? timeoutMs,
      // Calls without side effects are GETs, which caches understand.
      useHttpGet: true,
      interceptors: [...(options.interceptors ?? []), ...interceptors],
    });
  const connectAs = (token?: string) => connect(new Session(connect(), store, token).interceptor);
  const transport = connectAs(options.token);
  const checkout = createClient(CheckoutService, transport);
  const orders = createClient(OrderService, transport);
  const cart = createClient(CartService, transport);
  const keys = new OrderKeys(store);
  const placingAs = (token: string) => new Orders(createClient(CheckoutService, connectAs(token)), keys);
  const takeover: Takeover = { cart, orders, store, placingAs };
  return {
    catalog: createClient(CatalogService, transport),
    cart,
    mergeGuestCart: async () => (options.token ? mergeGuestCart(takeover) : undefined),
    claimGuestOrders: async (...scopes) => (options.token ? claimGuestOrders(takeover, scopes) : undefined),
    checkout,
    orders,
    currency: createClient(CurrencyService, transport),
    shipping: createClient(ShippingService, transport),
    placing: new Orders(checkout, keys, options.token ? true : undefined),
    transport,
  };
}

/** The customer's token: given, stored, or that of a new guest session. */
class Session {
  private readonly sessions: Client<typeof SessionService>;

  constructor(
    transport: Transport,
    private readonly store: Store,
    private readonly given: string | undefined,
  ) {
    this.sessions = createClient(SessionService, transport);
  }

  /** Sends the token. A call whose stored token is not valid any more, or places orders no more, is made again with a new one. */
  readonly interceptor: Interceptor = (next) => async (req) => {
    if (open.has(req.service.typeName)) {
      const token = this.given ?? this.store.getItem(tokenItem);
      if (token) req.header.set("Authorization", `Bearer ${token}`);
      return next(req);
    }
    const token = await this.token();
    req.header.set("Authorization", `Bearer ${token}`);
    try {
      return await next(req);
    } catch (error) {
      if (this.given || req.stream || !ended.has(problemOf(error).reason)) throw error;
      req.header.set("Authorization", `Bearer ${await this.token(token)}`);
      return next(req);
    }
  };

  /** The token, a new one if there is none but the refused one. Two tabs that begin at once share one session. */
  private async token(refused?: string): Promise<string> {
    if (this.given) return this.given;
    const stored = this.store.getItem(tokenItem);
    if (stored && stored !== refused) return stored;
    return exclusively("spillway.session", async () => {
      const other = this.store.getItem(tokenItem);
      if (other && other !== refused) return other;
      const { token } = await retrying(() => this.sessions.startGuestSession({}));
      this.store.setItem(tokenItem, token);
      return token;
    });
  }
}
