import type { JsonValue } from "@bufbuild/protobuf";
import type { Store } from "./store.js";

/** One purchase: the request, which was stored with its key before it was sent, and what became of it. */
export interface Attempt {
  /** What is bought: an attempt of the same scope that has no outcome yet is the same purchase. */
  scope: string;
  key: string;
  /** The request as JSON, without the card: that is stored nowhere. */
  request: JsonValue;
  startedMs: number;
  /** Set if it is a customer's: the key is not one of the guest whose token is stored. */
  customer?: boolean;
  /** Set once the server refused it in a way that made no order: the key may be used for another request. */
  refused?: boolean;
  /** Set once the outcome is known. */
  endedMs?: number;
  orderId?: string;
}

export interface OrderKeysOptions {
  now?: () => number;
  newKey?: () => string;
}

/** The server knows a key for 24 hours, so that an older attempt must not be repeated. */
const maxAgeMs = 24 * 60 * 60_000;
const prefix = "spillway.order.";

/** Idempotency keys that survive a reload: each is stored with its request before it is sent, and until its outcome is known. */
export class OrderKeys {
  private readonly now: () => number;
  private readonly newKey: () => string;

  constructor(
    private readonly store: Store,
    { now = Date.now, newKey = randomKey }: OrderKeysOptions = {},
  ) {
    this.now = now;
    this.newKey = newKey;
  }

  /** The last attempt of the scope, ended or not. */
  last(scope: string): Attempt | undefined {
    const text = this.store.getItem(prefix + scope);
    const attempt = text ? parse(text) : undefined;
    if (!attempt || this.now() - attempt.startedMs > maxAgeMs) return undefined;
    return attempt;
  }

  /** The attempt of the scope whose outcome is not known: it may have made an order. */
  open(scope: string): Attempt | undefined {
    const last = this.last(scope);
    return last && !last.refused && last.endedMs === undefined ? last : undefined;
  }

  /**
   * Returns the attempt that this purchase is: the one without an outcome, one that made an order after sinceMs (in another tab, or by the first of
   * two clicks), or a new one, which is stored before it returns.
   */
  begin(scope: string, request: JsonValue, sinceMs: number, customer?: boolean): Attempt {
    const last = this.last(scope);
    if (last?.orderId && (last.endedMs ?? 0) >= sinceMs) return last;
    if (last && last.endedMs === undefined && !last.refused) return last;
    const key = last?.refused && last.endedMs === undefined ? last.key : this.newKey();
    return this.put({ scope, key, request, startedMs: this.now(), customer });
  }

  /** Stores the outcome: the order, or that there is none. The request, with its address, is forgotten. */
  end(attempt: Attempt, orderId?: string): Attempt {
    return this.put({ ...attempt, request: null, endedMs: this.now(), orderId });
  }

  /** Stores that the request was refused without an order, and that its key may be sent again with the next one. */
  refuse(attempt: Attempt): Attempt {
    return this.put({ ...attempt, refused: true });
  }

  private put(attempt: Attempt): Attempt {
    this.store.setItem(prefix + attempt.scope, JSON.stringify(attempt));
    return attempt;
  }
}

function parse(text: string): Attempt | undefined {
  try {
    const a: Partial<Attempt> = JSON.parse(text);
    return typeof a.key === "string" && typeof a.startedMs === "number" ? (a as Attempt) : undefined;
  } catch {
    return undefined;
  }
}

/** 128 random bits. crypto.randomUUID exists on secure pages only, which a shop in a local network is not. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
