import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { forEach, type Progress } from "../../src/ops/deadletters/bulk.ts";

it("does all, and reports each that failed", async () => {
  const seen: Progress[] = [];
  const done: bigint[] = [];
  const result = await forEach(
    [1n, 2n, 3n, 4n, 5n, 6n, 7n],
    async (id) => {
      done.push(id);
      if (id === 3n) throw new ConnectError("it failed again", Code.FailedPrecondition);
    },
    (p) => seen.push(p),
  );
  expect(done).toHaveLength(7);
  expect(result).toMatchObject({ done: 7, total: 7, failed: [{ id: 3n, problem: { message: "it failed again" } }] });
  expect(seen.map((p) => p.done)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

it("has few calls under way at once, and stops when it is left", async () => {
  const leave = new AbortController();
  let running = 0;
  let most = 0;
  const result = await forEach(
    Array.from({ length: 50 }, (_, i) => BigInt(i)),
    async (id) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      if (id === 10n) leave.abort();
    },
    () => undefined,
    leave.signal,
  );
  expect(most).toBeLessThanOrEqual(4);
  expect(result.done).toBeLessThan(20);
});
