import { create } from "@bufbuild/protobuf";
import { OrderStepSchema } from "@spillway/client/gen/spillway/v1/order_pb";
import { expect, it } from "vitest";
import { when } from "../../src/ops/orders/Timeline.tsx";

it("a step has durations that are never negative, and none without a time", () => {
  const time = { seconds: 1_800_000_000n, nanos: 0 };
  const step = create(OrderStepSchema, {
    time,
    sincePrevious: { seconds: 0n, nanos: 35_000_000 },
    sinceStart: { seconds: 2n, nanos: 0 },
  });
  expect(when(step)).toMatch(/ · \+35 ms · 2\.0 s after the order$/);
  expect(when(create(OrderStepSchema, { time, sincePrevious: { seconds: -1n, nanos: 0 } }))).toMatch(/ · \+0 ms$/);
  expect(when(create(OrderStepSchema, {}))).toBe("the time is not recorded");
});
