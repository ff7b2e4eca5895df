import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { problemOf } from "./errors.js";
import { CartService, type MergeGuestCartResponse } from "./gen/spillway/v1/cart_pb.js";
import { CatalogService } from "./gen/spillway/v1/catalog_pb.js";
import { CheckoutService } from "./gen/spillway/v1/checkout_pb.js";
import { CurrencyService } from "./gen/spillway/v1/currency_pb.js";
import { OrderService } from "./gen/spillway/v1/order_pb.js";
import { SessionService } from "./gen/spillway/v1/session_pb.js";
import { ShippingService } from "./gen/spillway/v1/shipping_pb.js";
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
  /** For services that are not listed here, and for connect-query. */
  transport: Transport;
}

const tokenItem = "spillway.token";
const timeoutMs = 20_000;

/** The services that need no token, but for Shipping's own shipments. */
const open: ReadonlySet<string> = new Set([SessionService.typeName, CatalogService.typeName, CurrencyService.typeName]);

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
  const session = new Session(connect(), store, options.token);
  const transport = connect(session.interceptor);
  const checkout = createClient(CheckoutService, transport);
  const orders = createClient(OrderService, transport);
  const cart = createClient(CartService, transport);
  return {
    catalog: createClient(CatalogService, transport),
    cart,
    mergeGuestCart: async () => (options.token ? mergeGuestCart(cart, store) : undefined),
    checkout,
    orders,
    currency: createClient(CurrencyService, transport),
    shipping: createClient(ShippingService, transport),
    placing: new Orders(checkout, new OrderKeys(store)),
    transport,
  };
}

/** Moves the cart of the guest whose token is stored. The token stays: the guest's orders are read with it. */
async function mergeGuestCart(cart: Client<typeof CartService>, store: Store) {
  const guestToken = store.getItem(tokenItem);
  if (!guestToken) return undefined;
  try {
    return await retrying(() => cart.mergeGuestCart({ guestToken }));
  } catch (error) {
    if (problemOf(error).reason === "GUEST_TOKEN_INVALID") return undefined;
    throw error;
  }
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

  /** Sends the token. A call whose stored token is not valid any more is made again with a new one. */
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
      if (this.given || req.stream || problemOf(error).reason !== "TOKEN_INVALID") throw error;
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
