import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { REASONS } from "@spillway/client";
import { CancelCode, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { describe, expect, it, vi } from "vitest";
import { preferred, setLanguage, translate } from "../src/i18n/index.tsx";
import { flatten } from "../texts.ts";

const src = path.join(import.meta.dirname, "../src");
const textsOf = (language: string) => {
  const read = (part: string) =>
    flatten(JSON.parse(readFileSync(path.join(src, `i18n/${language}${part}.json`), "utf8")));
  return { ...read(""), ...read(".more") };
};
const en = textsOf("en");
const zh = textsOf("zh-CN");
const placeholders = (text: string) => [...text.matchAll(/\{(\w+)(?:, \w+)?\}/g)].map((m) => m[1]).sort();

describe("the texts", () => {
  it("exist in each language, with the same placeholders", () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
    for (const [key, text] of Object.entries(en)) expect(placeholders(zh[key] ?? ""), key).toEqual(placeholders(text));
  });
  it("have a sentence for each reason of an error", () => {
    for (const reason of REASONS) {
      for (const texts of [en, zh]) expect(texts[`errors.${reason}`], reason).toMatch(/[.。]$/);
    }
  });
  it("have each limit and decline code of the documentation", () => {
    const docs = readFileSync(path.join(src, "../../../docs/errors.md"), "utf8");
    const limits = /`LIMIT_EXCEEDED`.*\(([a-z_, ]+)\)/.exec(docs)?.[1]?.split(", ") ?? [];
    expect(limits.length).toBeGreaterThan(5);
    for (const limit of [...limits, "units_per_order", "units_per_customer"])
      expect(en, limit).toHaveProperty([`limits.${limit}`]);
    const readme = readFileSync(path.join(src, "../../../README.md"), "utf8");
    for (const [, code] of readme.matchAll(/declined: (\w+)/g)) expect(en, code).toHaveProperty([`decline.${code}`]);
  });
  it("have each state and each reason of a cancellation", () => {
    const names = (e: object) => Object.values(e).filter((v) => typeof v === "string");
    for (const name of names(OrderState)) expect(en).toHaveProperty([`state.${name}`]);
    for (const name of names(CancelCode)) expect(en).toHaveProperty([`cancelCode.${name}`]);
  });
  it("have each key that the pages use", () => {
    const files = readdirSync(path.join(src, "shop"), { recursive: true, encoding: "utf8" }).map((f) => `shop/${f}`);
    for (const file of [...files, "ui/Notice.tsx", "ui/Boundary.tsx"].filter((f) => /\.tsx?$/.test(f))) {
      const code = readFileSync(path.join(src, file), "utf8");
      for (const [, key] of code.matchAll(/\bt\(\s*"([^"]+)"/g))
        expect(en, `${file}: ${key}`).toHaveProperty([key ?? ""]);
    }
  });
});

describe("a text with a number", () => {
  it("separates the thousands", async () => {
    vi.stubGlobal("document", { documentElement: {} });
    await setLanguage("en");
    expect(translate("stock.left", { count: 12_000 })).toBe("12,000 in stock");
  });
});

describe("preferred", () => {
  it("takes the choice, then the browser's language, then English", () => {
    expect(preferred("zh-CN", ["en"])).toBe("zh-CN");
    expect(preferred(null, ["fr-FR", "zh-TW", "en"])).toBe("zh-CN");
    expect(preferred("xx", ["fr"])).toBe("en");
  });
});
