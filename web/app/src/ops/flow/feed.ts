import { type Problem, problemOf } from "@spillway/client";
import type { Pipeline, PipelineStage, WatchPipelineResponse } from "@spillway/client/gen/spillway/v1/ops_pb";

/** How many of the newest messages the plots show: two minutes of one a second. */
export const historyMax = 120;
/** The pause before a lost stream is opened again, if the server names none. */
const reopenMs = 2_000;
/** A stream without a message for so long is dead: the server sends one a second. */
const quietMs = 20_000;

export type FeedState = "connecting" | "live" | "paused" | "lost";

/** What the pages see of the pipeline at one moment. It is replaced, never changed. */
export interface Snapshot {
  state: FeedState;
  pipeline?: Pipeline;
  /** The rates of each stage, oldest first; a gap is NaN. */
  rates: ReadonlyMap<PipelineStage, readonly number[]>;
  /** Why the stream was lost. */
  problem?: Problem;
}

type Watch = (signal: AbortSignal) => AsyncIterable<WatchPipelineResponse>;

/** One stream of the pipeline for all pages of the console. A lost stream is opened again; a paused one is closed, so that it costs nothing. */
export class Feed {
  private snapshot: Snapshot = { state: "paused", rates: new Map() };
  private readonly listeners = new Set<() => void>();
  private stream?: AbortController;

  constructor(
    private readonly watch: Watch,
    private readonly sleep: (ms: number, signal: AbortSignal) => Promise<void> = pause,
  ) {}

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  readonly get = (): Snapshot => this.snapshot;

  readonly resume = () => {
    if (this.stream) return;
    this.stream = new AbortController();
    this.set({ state: "connecting", problem: undefined });
    void this.run(this.stream.signal);
  };

  readonly pause = () => {
    this.stream?.abort();
    this.stream = undefined;
    this.set({ state: "paused", problem: undefined });
  };

  private async run(signal: AbortSignal) {
    while (!signal.aborted) {
      const problem = await this.read(signal);
      if (signal.aborted) return;
      this.set({ state: "lost", problem });
      if (problem && !problem.mayPass) {
        this.stream = undefined;
        return;
      }
      await this.sleep(problem?.retryDelayMs ?? reopenMs, signal).catch(() => undefined);
    }
  }

  /** Reads one stream to its end, and returns why it ended. */
  private async read(signal: AbortSignal): Promise<Problem | undefined> {
    const connection = new AbortController();
    const abort = () => connection.abort();
    signal.addEventListener("abort", abort);
    let quiet = setTimeout(abort, quietMs);
    try {
      for await (const { pipeline } of this.watch(connection.signal)) {
        clearTimeout(quiet);
        quiet = setTimeout(abort, quietMs);
        if (signal.aborted) return;
        if (pipeline)
          this.set({ state: "live", pipeline, rates: record(this.snapshot.rates, pipeline), problem: undefined });
      }
      return undefined;
    } catch (error) {
      // Aborted because it was quiet: as lost as any other.
      return connection.signal.aborted ? undefined : problemOf(error);
    } finally {
      clearTimeout(quiet);
      connection.abort();
      signal.removeEventListener("abort", abort);
    }
  }

  private set(change: Partial<Snapshot>) {
    this.snapshot = { ...this.snapshot, ...change };
    for (const listener of this.listeners) listener();
  }
}

/** Adds a message to the history of the rates. */
export function record(before: Snapshot["rates"], pipeline: Pipeline): Snapshot["rates"] {
  const rates = new Map<PipelineStage, readonly number[]>();
  for (const s of pipeline.stages) {
    rates.set(s.stage, [...(before.get(s.stage) ?? []), s.perSecond ?? Number.NaN].slice(-historyMax));
  }
  return rates;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
