import { OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { describe, expect, it } from "vitest";
import { filtersOf, paramsOf, requestOf } from "../../src/ops/orders/filters.ts";

const none = filtersOf(new URLSearchParams());

describe("filters", () => {
  it("survive the address", () => {
    const filters = {
      ...none,
      order: "01ABC",
      email: "a+b@example.com",
      sku: "MUG-1",
      states: [OrderState.PAID, OrderState.SHIP_FAILED],
      from: "2026-11-29T14:03",
      to: "2026-11-30T00:00",
    };
    const params = new URLSearchParams(paramsOf(filters).toString());
    expect(filtersOf(params)).toEqual(filters);
    expect(params.getAll("state")).toEqual(["paid", "ship-failed"]);
  });

  it("that are not set are not in the address", () => {
    expect(paramsOf({ ...none, customer: "  " }).toString()).toBe("");
  });

  it("leave out what they do not know", () => {
    expect(filtersOf(new URLSearchParams("state=nonsense&state=paid&from=yesterday&to=2026-13-40T99:99&x=1"))).toEqual({
      ...none,
      states: [OrderState.PAID],
    });
  });
});

describe("requestOf", () => {
  it("is for all customers, unless one is named", () => {
    expect(requestOf(none, 50, "")).toMatchObject({ allCustomers: true, customerId: "", createTimeFrom: undefined });
    expect(requestOf({ ...none, customer: "ada" }, 50, "p")).toMatchObject({
      allCustomers: false,
      customerId: "ada",
      pageToken: "p",
    });
  });

  it("has times of this browser's time zone", () => {
    const { createTimeFrom } = requestOf({ ...none, from: "2026-11-29T14:03" }, 50, "");
    expect(Number(createTimeFrom?.seconds) * 1000).toBe(new Date(2026, 10, 29, 14, 3).getTime());
  });
});
