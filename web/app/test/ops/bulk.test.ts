import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { DeadLetterResultSchema } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { expect, it } from "vitest";
import { inBulk, type Progress } from "../../src/ops/deadletters/bulk.ts";

const ids = (n: number) => Array.from({ length: n }, (_, i) => BigInt(i + 1));
const result = (id: bigint, error?: { message: string; retryable: boolean }) =>
  create(DeadLetterResultSchema, { id, error: error && { reason: "X", ...error } });

it("does all, 100 in a call, and reports each that failed", async () => {
  const sizes: number[] = [];
  const seen: Progress[] = [];
  const progress = await inBulk(
    ids(250),
    async (batch) => {
      sizes.push(batch.length);
      return {
        results: batch.map((id) =>
          result(id, id === 3n ? { message: "it failed again", retryable: false } : undefined),
        ),
      };
    },
    (p) => seen.push(p),
  );
  expect(sizes).toEqual([100, 100, 50]);
  expect(progress).toEqual({ done: 250, total: 250, failed: [{ id: 3n, message: "it failed again" }] });
  expect(seen.map((p) => p.done)).toEqual([100, 200, 250, 250]);
});

it("sends again what a call had no time for, and ends when nothing gets on", async () => {
  const calls: bigint[][] = [];
  const late = { message: "no time", retryable: true };
  const progress = await inBulk(
    ids(3),
    async (batch) => {
      calls.push(batch);
      return { results: batch.map((id, i) => result(id, i === 0 && id !== 3n ? undefined : late)) };
    },
    () => undefined,
  );
  expect(calls).toEqual([[1n, 2n, 3n], [2n, 3n], [3n]]);
  expect(progress.failed).toEqual([{ id: 3n, message: "no time" }]);
});

it("reports all that are left when a call fails", async () => {
  const progress = await inBulk(
    ids(2),
    async () => {
      throw new ConnectError("this needs the role operator", Code.PermissionDenied);
    },
    () => undefined,
  );
  expect(progress).toMatchObject({
    done: 2,
    failed: [{ id: 1n, message: "this needs the role operator" }, { id: 2n }],
  });
});
