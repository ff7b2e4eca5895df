import { expect, it } from "vitest";
import { type Figures, ratesOf } from "../../src/ops/lab/labApi.ts";
import { traceLink } from "../../src/ops/shell/settings.ts";

const figures = (seconds: number, accepted: number): Figures => ({
  ...{ soldOut: 0, shed: 0, failed: 0, other: 0, notSent: 0, retries: 0, inFlight: 0, p50: 0, p99: 0 },
  seconds,
  accepted,
});

it("ratesOf is what came between two readings", () => {
  expect(ratesOf(undefined, figures(2, 10))?.accepted).toBe(5);
  expect(ratesOf(figures(2, 10), figures(4, 40))?.accepted).toBe(15);
  expect(ratesOf(figures(2, 10), figures(2, 10))).toBeUndefined();
});

it("traceLink makes links of web addresses only", () => {
  expect(traceLink("https://jaeger/trace/{trace}", "ab")).toBe("https://jaeger/trace/ab");
  expect(traceLink("javascript:{trace}", "ab")).toBeUndefined();
  expect(traceLink(undefined, "ab")).toBeUndefined();
  expect(traceLink("https://jaeger/trace/{trace}", "")).toBeUndefined();
});
