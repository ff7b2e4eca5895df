import { type Client, Code } from "@connectrpc/connect";
import { problemOf } from "./errors.js";
import { type Order, type OrderService, OrderState } from "./gen/spillway/v1/order_pb.js";
import { delayOf, pause, type Wait } from "./retry.js";

export interface WatchOptions {
  /** Ends the watch. Leaving the loop with `break` does so as well. */
  signal?: AbortSignal;
  /** Begins after a message that was seen before, for example before a reload. */
  resumeToken?: string;
  /** Is called when the connection was lost, before the pause after which it is made again. */
  onWait?: (wait: Wait) => void;
  /** Is called with each message's token, to resume a watch after a reload. */
  onToken?: (resumeToken: string) => void;
  /** The connection is made anew after this long without a message: 5 minutes by default. A connection can be lost without a sign. */
  quietMs?: number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const quietMs = 5 * 60_000;

/**
 * Yields the order as it is and after each change of its state, until a final one. A lost connection is made again and goes on where it was; it
 * ends with an error only if that cannot pass, such as ORDER_NOT_FOUND.
 */
export async function* watch(
  orders: Pick<Client<typeof OrderService>, "watchOrder">,
  orderId: string,
  options: WatchOptions = {},
): AsyncGenerator<Order, void, void> {
  const { signal, sleep = pause } = options;
  let resumeToken = options.resumeToken ?? "";
  let failures = 0;
  for (;;) {
    signal?.throwIfAborted();
    const connection = new Connection(signal, options.quietMs ?? quietMs);
    try {
      for await (const message of orders.watchOrder({ orderId, resumeToken }, connection.options)) {
        connection.heard();
        failures = 0;
        resumeToken = message.resumeToken;
        options.onToken?.(resumeToken);
        if (!message.order) continue;
        yield message.order;
        if (isFinal(message.order.state)) return;
      }
      // A clean end without a final state: with a token, the final state was seen before. A proxy may also end streams.
      if (resumeToken && failures === 0 && resumeToken === options.resumeToken) return;
      failures++;
      await sleep(delayOf({ ...problemOf(undefined), retryDelayMs: undefined }, failures), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (connection.wasQuiet) continue;
      const problem = problemOf(error);
      if (problem.code === Code.InvalidArgument && resumeToken) {
        resumeToken = ""; // It is not one of this order: begin with the order as it is.
        continue;
      }
      if (!problem.mayPass) throw error;
      failures++;
      const delayMs = delayOf(problem, failures);
      options.onWait?.({ attempt: failures, delayMs, problem });
      await sleep(delayMs, signal);
    } finally {
      connection.close();
    }
  }
}

/** Whether no further state follows. */
export const isFinal = (state: OrderState): boolean => state === OrderState.SHIPPED || state === OrderState.CANCELLED;

/** One connection of a watch: it ends with the watch, or after a long silence. */
class Connection {
  private readonly controller = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  wasQuiet = false;

  constructor(
    private readonly outer: AbortSignal | undefined,
    private readonly quietMs: number,
  ) {
    outer?.addEventListener("abort", this.abort, { once: true });
    this.heard();
  }

  /** A stream lasts as long as the order takes: the timeout of calls is not for it. */
  get options() {
    return { signal: this.controller.signal, timeoutMs: 0 };
  }

  heard() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.wasQuiet = true;
      this.abort();
    }, this.quietMs);
  }

  /** connect-web keeps a request open that nothing reads any more, so that it is aborted. */
  close() {
    clearTimeout(this.timer);
    this.outer?.removeEventListener("abort", this.abort);
    this.abort();
  }

  private readonly abort = () => this.controller.abort();
}
