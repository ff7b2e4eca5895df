import { create } from "@bufbuild/protobuf";
import { BreakerState, PipelineStage, StageFiguresSchema } from "@spillway/client/gen/spillway/v1/ops_pb";
import { expect, it } from "vitest";
import { toneOf } from "../../src/ops/flow/stages.ts";

const figures = (init: Parameters<typeof create<typeof StageFiguresSchema>>[1]) =>
  create(StageFiguresSchema, { processes: 1, ...init });

it.each([
  ["good", figures({ stage: PipelineStage.FLUSH, depth: 5n })],
  ["warn", figures({ stage: PipelineStage.FLUSH, failuresPerSecond: 0.1 })],
  ["warn", figures({ stage: PipelineStage.CHARGE, breaker: BreakerState.HALF_OPEN })],
  ["bad", figures({ stage: PipelineStage.CHARGE, breaker: BreakerState.OPEN })],
  ["warn", figures({ stage: PipelineStage.SHIP, processes: 0 })],
  ["bad", figures({ stage: PipelineStage.SHIP, processes: 0, depth: 1n })],
  ["warn", figures({ stage: PipelineStage.DEAD_LETTER, depth: 1n })],
  [
    "good",
    figures({ stage: PipelineStage.ACCEPT, failuresPerSecond: 9, outcomes: [{ outcome: "SOLD_OUT", perSecond: 9 }] }),
  ],
  [
    "warn",
    figures({
      stage: PipelineStage.ACCEPT,
      failuresPerSecond: 9,
      outcomes: [{ outcome: "UNAVAILABLE", perSecond: 9 }],
    }),
  ],
])("a stage is %s", (tone, s) => {
  expect(toneOf(s)).toBe(tone);
});
