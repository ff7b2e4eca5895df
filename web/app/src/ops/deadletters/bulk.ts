import { type Problem, problemOf } from "@spillway/client";

/** How many calls of a bulk are under way at once: operators have few places on the server. */
const atOnce = 4;

export interface Progress {
  done: number;
  total: number;
  failed: { id: bigint; problem: Problem }[];
}

/** Makes one call for each dead letter. One that fails does not keep the others from being done. */
export async function forEach(
  ids: readonly bigint[],
  call: (id: bigint) => Promise<unknown>,
  report: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<Progress> {
  let progress: Progress = { done: 0, total: ids.length, failed: [] };
  const queue = ids.values();
  const worker = async () => {
    for (const id of queue) {
      if (signal?.aborted) return;
      const problem = await call(id).then(() => undefined, problemOf);
      progress = {
        ...progress,
        done: progress.done + 1,
        failed: problem ? [...progress.failed, { id, problem }] : progress.failed,
      };
      report(progress);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return progress;
}
