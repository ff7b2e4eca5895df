import { describe, expect, it } from "vitest";
import { add, compare, money, moneyOf, sameMoney, toDecimal } from "../src/index.js";

const eur = (units: bigint, nanos = 0) => ({ currencyCode: "EUR", units, nanos });

describe("money", () => {
  it("is written in the language and currency", () => {
    expect(money(eur(12n, 990_000_000), "en")).toBe("€12.99");
    expect(money(eur(12n, 990_000_000), "de").replace(/\s/g, " ")).toBe("12,99 €");
    expect(money({ currencyCode: "JPY", units: 1500n, nanos: 0 }, "en")).toBe("¥1,500");
    expect(money(undefined, "en")).toBe("");
  });
  it("is exact where floating point is not", () => {
    expect(toDecimal(eur(9_007_199_254_740_993n, 10_000_000))).toBe("9007199254740993.01");
    expect(money(eur(999_999_999_999n, 990_000_000), "en")).toBe("€999,999,999,999.99");
  });
  it("has a sign below zero", () => {
    expect(toDecimal(eur(0n, -500_000_000))).toBe("-0.5");
    expect(toDecimal(eur(-3n, -10_000_000))).toBe("-3.01");
  });
  it("is parsed from what people write", () => {
    expect(moneyOf("EUR", "12.5")).toEqual(eur(12n, 500_000_000));
    expect(moneyOf("EUR", "-0.05")).toEqual(eur(0n, -50_000_000));
    for (const bad of ["", "12,5", "1e3", "1.0000000001", "abc"])
      expect(() => moneyOf("EUR", bad), bad).toThrow(RangeError);
  });
  it("is added and compared in one currency only", () => {
    expect(add(eur(1n, 600_000_000), eur(0n, 500_000_000))).toEqual(eur(2n, 100_000_000));
    expect(compare(eur(1n), eur(1n, 1))).toBeLessThan(0);
    expect(sameMoney(eur(1n), { currencyCode: "EUR", units: "1" })).toBe(true);
    expect(() => add(eur(1n), { currencyCode: "USD", units: 1n })).toThrow(RangeError);
  });
});
