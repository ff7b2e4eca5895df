import { problemOf } from "@spillway/client";
import type { DeadLetterResult } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import type { ItemError } from "@spillway/client/gen/spillway/v1/errors_pb";

/** How many dead letters a call may have. */
const callMax = 100;

export interface Progress {
  done: number;
  total: number;
  failed: { id: bigint; message: string }[];
}

type Call = (ids: bigint[]) => Promise<{ results: DeadLetterResult[] }>;

/**
 * Has the server do something with each dead letter, 100 in a call at most. One that fails does not keep the others from being done. What a call
 * had no time for is sent again, as long as each call gets on.
 */
export async function inBulk(
  ids: readonly bigint[],
  call: Call,
  report: (progress: Progress) => void,
): Promise<Progress> {
  let left = [...ids];
  const failed: Progress["failed"] = [];
  const progress = (): Progress => ({ done: ids.length - left.length, total: ids.length, failed: [...failed] });
  while (left.length > 0) {
    const batch = left.slice(0, callMax);
    let results: DeadLetterResult[];
    try {
      ({ results } = await call(batch));
    } catch (error) {
      failed.push(...left.map((id) => ({ id, message: problemOf(error).message })));
      left = [];
      break;
    }
    const again = results.filter((r) => r.error && passes(r.error));
    // Nothing got on: these do not pass either.
    const stuck = again.length === batch.length;
    for (const r of results) {
      if (r.error && (stuck || !passes(r.error))) failed.push({ id: r.id, message: r.error.message });
    }
    left = [...(stuck ? [] : again.map((r) => r.id)), ...left.slice(batch.length)];
    report(progress());
  }
  report(progress());
  return progress();
}

const passes = (e: ItemError): boolean => e.retryable;
