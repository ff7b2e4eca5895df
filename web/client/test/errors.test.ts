import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { SoldOutSchema } from "../src/gen/spillway/v1/errors_pb.js";
import { problemOf, REASONS } from "../src/index.js";

const info = (reason: string, metadata = {}) => ({
  desc: ErrorInfoSchema,
  value: create(ErrorInfoSchema, { reason, domain: "spillway", metadata }),
});

describe("problemOf", () => {
  it("knows the reasons of docs/errors.md", () => {
    const docs = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
    const documented = [...docs.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((m) => m[1]);
    expect(REASONS.filter((r) => r !== "CONNECTION_LOST" && r !== "UNKNOWN")).toEqual(documented);
  });
  it("has the retry hint in milliseconds", () => {
    const retry = {
      desc: RetryInfoSchema,
      value: create(RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 500_000_000 } }),
    };
    const p = problemOf(
      new ConnectError("busy", Code.ResourceExhausted, undefined, [info("JOURNAL_FULL", { requestId: "r" }), retry]),
    );
    expect(p).toMatchObject({
      reason: "JOURNAL_FULL",
      mayPass: true,
      retryDelayMs: 1500,
      metadata: { requestId: "r" },
    });
  });
  it("has what is left of what is sold out", () => {
    const soldOut = {
      desc: SoldOutSchema,
      value: create(SoldOutSchema, { items: [{ sku: "MUG", requested: 2n, available: 1n }] }),
    };
    const p = problemOf(new ConnectError("sold out", Code.FailedPrecondition, undefined, [info("SOLD_OUT"), soldOut]));
    expect(p.mayPass).toBe(false);
    expect(p.soldOut?.items[0]).toMatchObject({ sku: "MUG", available: 1n });
  });
  it("takes a lost connection for one that may pass", () => {
    expect(problemOf(new TypeError("Failed to fetch"))).toMatchObject({ reason: "CONNECTION_LOST", mayPass: true });
  });
  it("decides by the code about a reason of a newer server", () => {
    const p = problemOf(new ConnectError("later", Code.Unavailable, undefined, [info("BRAND_NEW")]));
    expect(p).toMatchObject({ reason: "UNKNOWN", mayPass: true });
  });
});
