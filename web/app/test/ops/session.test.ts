import { describe, expect, it } from "vitest";
import { parseToken, tokenOf } from "../../src/ops/shell/session.ts";

const token = (claims: object) =>
  `h.${btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.s`;

describe("parseToken", () => {
  it("reads the operator, the expiry and whether it may change something", () => {
    expect(parseToken(token({ sub: "ada", roles: ["operator"], exp: 100 }))).toMatchObject({
      operator: "ada",
      canChange: true,
      expireMs: 100_000,
    });
    expect(parseToken(token({ sub: "ada", roles: ["operator:read"] }))?.canChange).toBe(false);
    expect(parseToken(token({ sub: "ada" }))?.canChange).toBe(false);
  });

  it.each(["", "x", "a.b.c", `h.${btoa("[]")}.s`, `h.${btoa("null")}.s`, token({ roles: ["operator"] })])(
    "%s is none",
    (text) => {
      expect(parseToken(text)).toBeUndefined();
    },
  );
});

it("tokenOf reads the fragment of a link", () => {
  expect(tokenOf("#token=a.b-_.c")).toBe("a.b-_.c");
  expect(tokenOf("")).toBeUndefined();
  expect(tokenOf("#main")).toBeUndefined();
});
