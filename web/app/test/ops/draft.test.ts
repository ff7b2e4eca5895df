import { create } from "@bufbuild/protobuf";
import { ProductSchema } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { expect, it } from "vitest";
import { check, draftOf, emptyDraft, inputOf } from "../../src/ops/catalogue/draft.ts";

const good = { ...emptyDraft, sku: "MUG-1", name: " Mug ", price: "12.99", categories: "kitchen, , gifts" };

it("a product survives the form", () => {
  const product = create(ProductSchema, {
    sku: "MUG-1",
    name: "Mug",
    price: { currencyCode: "EUR", units: 12n, nanos: 990_000_000 },
    categories: ["kitchen", "gifts"],
    maxPerCustomer: 3,
    saleStartTime: { seconds: 1_900_000_000n, nanos: 0 },
  });
  const draft = draftOf(product);
  expect(check(draft, false)).toEqual({});
  expect(inputOf(draft)).toMatchObject({
    sku: "MUG-1",
    name: "Mug",
    price: { currencyCode: "EUR", units: 12n, nanos: 990_000_000 },
    categories: ["kitchen", "gifts"],
    maxPerCustomer: 3,
    saleStartTime: { seconds: 1_900_000_000n, nanos: 0 },
  });
  expect(inputOf({ ...draft, saleStart: "" }).saleStartTime).toBeUndefined();
});

it("check finds what the server would refuse", () => {
  expect(check(good, true)).toEqual({});
  expect(inputOf(good)).toMatchObject({ name: "Mug", categories: ["kitchen", "gifts"] });
  for (const [field, value] of Object.entries({
    sku: "a b",
    name: " ",
    price: "0",
    currency: "eur",
    maxPerCustomer: "1001",
    saleStart: "2026-12-01 09:00",
    initialStock: "-1",
    picture: "x".repeat(501),
    categories: "x".repeat(51),
  })) {
    expect(Object.keys(check({ ...good, [field]: value }, true)), field).toEqual([field]);
  }
});
