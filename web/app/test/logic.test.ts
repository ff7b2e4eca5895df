import { create } from "@bufbuild/protobuf";
import { CancelCode, OrderSchema, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { ChargeState } from "@spillway/client/gen/spillway/v1/payment_pb";
import { describe, expect, it } from "vitest";
import { invalidFields } from "../src/rules/check.ts";
import { COUNTRIES, cardOf, emptyDetails, keepDetails, storedDetails } from "../src/shop/checkout/details.ts";
import { categoriesOf } from "../src/shop/home/categories.ts";
import { canCancel, later, latest, stepsOf } from "../src/shop/order/steps.ts";
import { countdown, share } from "../src/shop/sale/clock.ts";

const filled = {
  ...emptyDetails,
  email: "a@example.com",
  name: "Ada",
  street: "Main St 1",
  city: "Berlin",
  number: "4242 4242 4242 4242",
  expiry: "01/30",
  cvv: "123",
};

describe("the form", () => {
  it("breaks no rule of the API when it is filled in", () => {
    expect([...invalidFields(filled)]).toEqual([]);
  });
  it("names the fields that break a rule", () => {
    const bad = invalidFields({ ...filled, email: "a@", city: " ", number: "42", expiry: "13/30", cvv: "x" });
    expect([...bad].sort()).toEqual(["card.cvv", "card.expiry_month", "card.number", "email", "shipping_address.city"]);
  });
  it("refuses texts that the API refuses", () => {
    const bad = (details: Partial<typeof filled>) => [...invalidFields({ ...filled, ...details })];
    for (const text of [
      "Eve\u001b[2J",
      "a\u0000b",
      "a\nb",
      "\u202etxet",
      "a\u2028b",
      "1\u009b2J",
      "a\u2066b",
      "a\u061cb",
      "a\u200eb",
    ])
      for (const field of ["name", "street", "city", "region", "postalCode"] as const)
        expect(bad({ [field]: `x${text}x` }), JSON.stringify(text)).toEqual([
          `shipping_address.${field === "postalCode" ? "postal_code" : field}`,
        ]);
    expect(bad({ name: "Zoë O’Neil-Łukasz 李小龙 עברית", region: "", postalCode: "" })).toEqual([]);
  });
  it("knows the countries", () => {
    for (const countryCode of ["XX", "UK", "EU", "XK", "de", "", "DEU"])
      expect([...invalidFields({ ...filled, countryCode })], countryCode).toEqual(["shipping_address.country_code"]);
    for (const countryCode of COUNTRIES)
      expect([...invalidFields({ ...filled, countryCode })], countryCode).toEqual([]);
  });
  it("refuses mail addresses that mails cannot be sent to", () => {
    for (const email of [
      "a..b@example.com",
      ".a@example.com",
      "a.@example.com",
      "a@b..c",
      "Eve <eve@example.com>",
      "a@",
    ])
      expect([...invalidFields({ ...filled, email })], email).toEqual(["email"]);
    for (const email of ["a.b@example.com", "a+b@example.co.uk", "o'neil@example.com"])
      expect([...invalidFields({ ...filled, email })], email).toEqual([]);
  });
  it("needs no card to pay later", () => {
    expect([...invalidFields({ ...filled, number: "", expiry: "", cvv: "", payLater: true })]).toEqual([]);
  });
  it("reads dates as they are written on cards", () => {
    expect(cardOf({ ...filled, expiry: " 1 / 2031 " })).toMatchObject({ expiryMonth: 1, expiryYear: 2031 });
    expect(cardOf({ ...filled, expiry: "nonsense" })).toMatchObject({ expiryMonth: 0, expiryYear: 0 });
  });
  it("keeps the address and no card", () => {
    const items = new Map<string, string>();
    const store = {
      getItem: (k: string) => items.get(k) ?? null,
      setItem: (k: string, v: string) => void items.set(k, v),
    };
    keepDetails(store, filled);
    expect([...items.values()].join()).not.toMatch(/4242|123/);
    expect(storedDetails(store)).toMatchObject({ city: "Berlin", number: "", cvv: "" });
    store.setItem("spillway.details", "{broken");
    expect(storedDetails(store)).toEqual(emptyDetails);
  });
});

describe("the timeline", () => {
  const steps = (init: object) => stepsOf(create(OrderSchema, init)).map((s) => `${s.name}:${s.is}`);
  it("shows what an order waits for", () => {
    expect(steps({ state: OrderState.PENDING })).toContain("waitsForAnswer:now");
    expect(steps({ state: OrderState.PENDING, expireTime: { seconds: 1n } })).toContain("waitsForCard:now");
    expect(steps({ state: OrderState.SHIPPED })).toEqual(["placed:done", "paid:done", "shipped:done"]);
  });
  it("knows which step is the latest", () => {
    const at = (state: OrderState) => {
      const steps = stepsOf(create(OrderSchema, { state }));
      return steps[latest(steps)]?.name;
    };
    expect([OrderState.PENDING, OrderState.PAID, OrderState.SHIPPED, OrderState.CANCELLED].map(at)).toEqual([
      "waitsForAnswer",
      "packing",
      "shipped",
      "cancelled",
    ]);
  });
  it("does not go back when a response comes after the stream's next state", () => {
    const at = (state: OrderState, more = {}) => create(OrderSchema, { id: "o", state, ...more });
    const { PENDING, PAID, SHIP_FAILED, SHIPPED, CANCELLED } = OrderState;
    const states = [PENDING, PAID, SHIP_FAILED, SHIPPED];
    for (const [i, before] of states.entries()) {
      for (const next of states.slice(0, i)) expect(later(at(before), at(next)).state).toBe(before);
      for (const next of states.slice(i)) expect(later(at(before), at(next)).state).toBe(next);
    }
    expect(later(at(CANCELLED), at(PAID)).state).toBe(CANCELLED);
    expect(later(undefined, at(PENDING)).state).toBe(PENDING);
    const other = create(OrderSchema, { id: "other", state: PENDING });
    expect(later(at(SHIPPED), other)).toBe(other);
  });
  it("takes a refund that was read, whatever the clocks of the servers are", () => {
    const cancelled = (seconds: bigint, refundedTotal?: object) =>
      create(OrderSchema, { id: "o", state: OrderState.CANCELLED, updateTime: { seconds }, refundedTotal });
    const refunded = cancelled(1n, { currencyCode: "EUR", units: 3n });
    expect(later(cancelled(9n), refunded)).toBe(refunded);
    expect(later(refunded, cancelled(9n))).toBe(refunded);
  });
  it("shows the refund of a cancelled order", () => {
    const cancelled = { state: OrderState.CANCELLED, cancelCode: CancelCode.BY_CUSTOMER };
    expect(steps(cancelled)).toEqual(["placed:done", "cancelled:failed"]);
    expect(stepsOf(create(OrderSchema, cancelled), ChargeState.SUCCEEDED)).toHaveLength(3);
    expect(steps({ ...cancelled, refundPendingTotal: { currencyCode: "EUR" } })).toContain("refunding:now");
    expect(steps({ ...cancelled, refundedTotal: { currencyCode: "EUR" } })).toContain("refunded:done");
  });
  it("has an end after which nothing can be cancelled", () => {
    expect([1, 2, 3, 4, 5].filter(canCancel)).toEqual([OrderState.PENDING, OrderState.PAID, OrderState.SHIP_FAILED]);
  });
});

describe("the sale", () => {
  it("counts down", () => {
    expect(countdown(59_001)).toBe("01:00");
    expect(countdown(3_723_000)).toBe("1:02:03");
    expect(countdown(90_061_000)).toBe("1 d 1:01:01");
    expect(countdown(-5)).toBe("00:00");
  });
  it("shows the share that is left", () => {
    expect(share(5, 20)).toBe(0.25);
    expect(share(0, 0)).toBe(0);
  });
});

it("lists the fullest category first", () => {
  const products = [{ categories: ["home"] }, { categories: ["kitchen"] }, { categories: ["kitchen", "decor"] }];
  expect(categoriesOf(products)).toEqual(["kitchen", "decor", "home"]);
});
