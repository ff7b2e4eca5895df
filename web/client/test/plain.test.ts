import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { OrderSchema } from "../src/gen/spillway/v1/order_pb.js";
import { plain, toDate } from "../src/index.js";

it("makes JSON of an order", () => {
  const order = create(OrderSchema, {
    id: "o",
    total: { currencyCode: "EUR", units: 9_007_199_254_740_993n, nanos: 10_000_000 },
    createTime: { seconds: 1_700_000_000n, nanos: 5_000_000 },
  });
  expect(JSON.parse(JSON.stringify(plain(order)))).toMatchObject({
    id: "o",
    total: { currencyCode: "EUR", units: "9007199254740993", nanos: 10_000_000 },
    createTime: "2023-11-14T22:13:20.005Z",
  });
  expect(toDate(order.createTime)?.getTime()).toBe(1_700_000_000_005);
});
