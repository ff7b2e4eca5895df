import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type OrderState, WatchOrderResponseSchema } from "../src/gen/spillway/v1/order_pb.js";
import { watch } from "../src/index.js";

const sleep = async () => undefined;

type Script = (OrderState | unknown)[];

/** A server whose streams follow scripts: numbers are states, other values errors. */
function server(...scripts: Script[]) {
  const tokens: string[] = [];
  return {
    tokens,
    async *watchOrder({ resumeToken = "" }: { resumeToken?: string }) {
      tokens.push(resumeToken);
      for (const step of scripts.shift() ?? []) {
        if (typeof step !== "number") throw step;
        yield create(WatchOrderResponseSchema, { order: { id: "o", state: step }, resumeToken: `after-${step}` });
      }
    },
  };
}

async function states(orders: ReturnType<typeof server>, options = {}) {
  const seen: OrderState[] = [];
  for await (const order of watch(orders as never, "o", { sleep, ...options })) seen.push(order.state);
  return seen;
}

describe("watch", () => {
  it("goes on after lost connections and ended streams", async () => {
    const orders = server(
      [1, new TypeError("Failed to fetch")],
      [new ConnectError("stopping", Code.Unavailable)],
      [2],
      [4],
    );
    expect(await states(orders)).toEqual([1, 2, 4]);
    expect(orders.tokens).toEqual(["", "after-1", "after-1", "after-2"]);
  });
  it("ends with an error that cannot pass", async () => {
    await expect(states(server([new ConnectError("none", Code.NotFound)]))).rejects.toThrow("none");
  });
  it("ends when the final state was seen before", async () => {
    expect(await states(server([]), { resumeToken: "after-4" })).toEqual([]);
  });
  it("begins anew with a token that is not one of the order", async () => {
    const orders = server([new ConnectError("token", Code.InvalidArgument)], [4]);
    expect(await states(orders, { resumeToken: "nonsense" })).toEqual([4]);
  });
  it("ends with its signal", async () => {
    const leave = new AbortController();
    const seen: OrderState[] = [];
    const run = (async () => {
      for await (const order of watch(server([1, 2, 4]) as never, "o", { signal: leave.signal })) {
        seen.push(order.state);
        leave.abort();
        leave.signal.throwIfAborted();
      }
    })();
    await expect(run).rejects.toThrow();
    expect(seen).toEqual([1]);
  });
});
