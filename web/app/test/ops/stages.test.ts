import { create } from "@bufbuild/protobuf";
import { BreakerState, PipelineStage, StageFiguresSchema } from "@spillway/client/gen/spillway/v1/ops_pb";
import { expect, it } from "vitest";
import { trouble } from "../../src/ops/flow/Diagram.tsx";
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

it("what is sold out is refused, and no trouble", () => {
  const figures = (outcomes: Record<string, number>, failuresPerSecond = 0) =>
    create(StageFiguresSchema, {
      stage: PipelineStage.ACCEPT,
      failuresPerSecond,
      outcomes: Object.entries(outcomes).map(([outcome, perSecond]) => ({ outcome, perSecond })),
    });
  expect(trouble(figures({ accepted: 30, replayed: 5 }))).toBe("none refused");
  expect(trouble(figures({ accepted: 30, SOLD_OUT: 70, LIMIT_EXCEEDED: 5 }))).toBe("75.0 refused/s");
  expect(trouble(figures({ accepted: 30, SOLD_OUT: 70, UNAVAILABLE: 2 }, 2))).toContain("2.0 failures/s");
});
