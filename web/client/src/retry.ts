import { type Problem, problemOf } from "./errors.js";

/** A pause before the next attempt. */
export interface Wait {
  /** The attempt that failed, from 1. */
  attempt: number;
  delayMs: number;
  problem: Problem;
}

export interface RetryOptions {
  signal?: AbortSignal;
  /** How often the call is made at most; 6 by default. */
  attempts?: number;
  /** Is called before each pause, to show that the client waits and for how long. */
  onWait?: (wait: Wait) => void;
  /** Replaces the timer in tests. */
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Replaces Math.random in tests. */
  random?: () => number;
}

const maxAttempts = 6;
/** Without a hint of the server the pauses are 0.25 s, 0.5 s, 1 s … up to 10 s. */
const firstDelayMs = 250;
const maxDelayMs = 10_000;
/** A longer pause that the server asks for is not waited out: it is the person's to decide. */
const maxWaitMs = 60_000;
/** The share of a delay that is added at random, so that those who were refused together do not return together. */
const jitter = 0.25;

/** How long to wait after a failed attempt: what the server asks for, or longer and longer. */
export function delayOf(problem: Problem, attempt: number, random: () => number = Math.random): number {
  const base = problem.retryDelayMs ?? Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempt - 1, 16));
  return Math.round(base * (1 + jitter * random()));
}

/** Makes a call again while its error may pass. The call must be idempotent, such as one with an idempotency key. */
export async function retrying<T>(call: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { signal, attempts = maxAttempts, sleep = pause } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(attempt);
    } catch (error) {
      const problem = problemOf(error);
      if (!problem.mayPass || attempt >= attempts || signal?.aborted) throw error;
      if ((problem.retryDelayMs ?? 0) > maxWaitMs) throw error;
      const delayMs = delayOf(problem, attempt, options.random);
      options.onWait?.({ attempt, delayMs, problem });
      await sleep(delayMs, signal);
    }
  }
}

/** Waits; an aborted signal ends it early with the signal's reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }
    function aborted() {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
