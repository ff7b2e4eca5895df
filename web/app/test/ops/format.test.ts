import { describe, expect, it } from "vitest";
import { between, count, duration, masked, rate, span, words } from "../../src/ops/shell/format.ts";

describe("span", () => {
  it.each([
    [-5, "0 ms"],
    [0, "0 ms"],
    [350, "350 ms"],
    [999.6, "1.0 s"],
    [4_230, "4.2 s"],
    [59_960, "1 min 0 s"],
    [192_000, "3 min 12 s"],
    [3_599_600, "1 h 0 min"],
    [18_420_000, "5 h 7 min"],
    [86_399_000, "1 d 0 h"],
    [273_600_000, "3 d 4 h"],
  ])("%d ms is %s", (ms, text) => {
    expect(span(ms)).toBe(text);
  });
});

describe("figures", () => {
  it("are exact however large, and a dash where they are not known", () => {
    expect(count(9_007_199_254_740_993n)).toBe("9,007,199,254,740,993");
    expect(count(undefined)).toBe("–");
    expect(duration(undefined)).toBe("–");
    expect(duration({ seconds: 1n, nanos: 500_000_000 })).toBe("1.5 s");
  });

  it("of rates have a decimal below 100", () => {
    expect([0, 0.04, 12.34, 99.94, 99.96, 1234.5].map(rate)).toEqual(["0.0", "0.0", "12.3", "99.9", "100", "1,235"]);
    expect(rate(undefined)).toBe("–");
  });

  it("of two clocks that differ are never negative", () => {
    expect(between({ seconds: 10n, nanos: 0 }, { seconds: 9n, nanos: 0 })).toBe(0);
    expect(between({ seconds: 9n, nanos: 0 }, { seconds: 10n, nanos: 250_000_000 })).toBe(1250);
  });
});

describe("masked", () => {
  it.each([
    ["ada@example.com", "a•••@example.com"],
    ["Ada Lovelace", "A•••"],
    ["王小明", "王•••"],
    ["", ""],
  ])("%s is shown as %s", (text, want) => {
    expect(masked(text)).toBe(want);
  });
});

it("words of an enum", () => {
  expect(words("SHIP_FAILED")).toBe("ship failed");
  expect(words(undefined)).toBe("unknown");
});
