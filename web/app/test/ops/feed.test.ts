import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  PipelineStage,
  type WatchPipelineResponse,
  WatchPipelineResponseSchema,
} from "@spillway/client/gen/spillway/v1/ops_pb";
import { expect, it, vi } from "vitest";
import { Feed, historyMax, record } from "../../src/ops/flow/feed.ts";

const message = (perSecond?: number) =>
  create(WatchPipelineResponseSchema, { pipeline: { stages: [{ stage: PipelineStage.ACCEPT, perSecond }] } });

/** Bounds the wait for a moment's work, where all cores are busy. */
const patient = { timeout: 30_000 };

/** A stream that sends the messages and then ends, fails, or waits for its signal. */
async function* stream(messages: WatchPipelineResponse[], end: "end" | Error | AbortSignal) {
  yield* messages;
  if (end instanceof Error) throw end;
  if (end instanceof AbortSignal) await new Promise((_, reject) => end.addEventListener("abort", reject));
}

it("opens a lost stream again, and keeps the history", async () => {
  const streams = [[message(1), message(2)], [message(3)]];
  const feed = new Feed(
    (signal) => stream(streams[0] ?? [], streams.length > 1 ? "end" : signal),
    async () => void streams.shift(),
  );
  feed.resume();
  await vi.waitFor(() => expect(feed.get().rates.get(PipelineStage.ACCEPT)).toEqual([1, 2, 3]), patient);
  expect(feed.get().state).toBe("live");
  feed.pause();
  expect(feed.get().state).toBe("paused");
});

it("ends the stream while it is paused", async () => {
  const signals: AbortSignal[] = [];
  const feed = new Feed((signal) => {
    signals.push(signal);
    return stream([message(1)], signal);
  });
  feed.resume();
  feed.resume();
  await vi.waitFor(() => expect(feed.get().state).toBe("live"), patient);
  feed.pause();
  expect(signals.map((s) => s.aborted)).toEqual([true]);
});

it("does not repeat what cannot pass", async () => {
  let opened = 0;
  const feed = new Feed(() => {
    opened++;
    return stream([], new ConnectError("this needs the role operator", Code.PermissionDenied));
  });
  feed.resume();
  await vi.waitFor(() => expect(feed.get().state).toBe("lost"), patient);
  expect(feed.get().problem?.message).toBe("this needs the role operator");
  expect(opened).toBe(1);
});

it("record keeps the newest rates, with gaps", () => {
  let rates: ReturnType<typeof record> = new Map();
  for (let i = 0; i < historyMax + 10; i++) {
    const { pipeline } = message(i % 2 ? undefined : i);
    if (pipeline) rates = record(rates, pipeline);
  }
  const accept = rates.get(PipelineStage.ACCEPT) ?? [];
  expect(accept).toHaveLength(historyMax);
  expect(accept[0]).toBe(10);
  expect(accept[1]).toBeNaN();
});
