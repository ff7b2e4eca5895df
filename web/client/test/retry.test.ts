import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { retrying } from "../src/index.js";

const refused = (seconds: number) => {
  const value = create(RetryInfoSchema, { retryDelay: { seconds: BigInt(seconds), nanos: 0 } });
  return new ConnectError("busy", Code.ResourceExhausted, undefined, [{ desc: RetryInfoSchema, value }]);
};

describe("retrying", () => {
  it("waits as long as the server asks for, up to a minute", async () => {
    const delays: number[] = [];
    const failing = (seconds: number) => {
      let calls = 0;
      const call = async () => {
        if (++calls < 3) throw refused(seconds);
        return calls;
      };
      const sleep = async (ms: number) => void delays.push(ms);
      return retrying(call, { sleep, random: () => 0 });
    };
    expect(await failing(60)).toBe(3);
    expect(delays).toEqual([60_000, 60_000]);
    await expect(failing(61)).rejects.toThrow("busy");
    expect(delays).toHaveLength(2);
  });
});
