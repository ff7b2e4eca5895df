import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { moneyOf, toDate, toDecimal } from "@spillway/client";
import type { Product, ProductInputSchema } from "@spillway/client/gen/spillway/v1/catalog_pb";

/** A product as the form has it: texts. */
export interface Draft {
  sku: string;
  name: string;
  description: string;
  picture: string;
  price: string;
  currency: string;
  categories: string;
  maxPerCustomer: string;
  /** When its sale begins, as RFC 3339; empty if it can be bought at once. */
  saleStart: string;
  initialStock: string;
}

export const emptyDraft: Draft = {
  sku: "",
  name: "",
  description: "",
  picture: "",
  price: "",
  currency: "EUR",
  categories: "",
  maxPerCustomer: "10",
  saleStart: "",
  initialStock: "0",
};

export const draftOf = (p: Product): Draft => ({
  sku: p.sku,
  name: p.name,
  description: p.description,
  picture: p.picture,
  price: p.price ? toDecimal(p.price) : "",
  currency: p.price?.currencyCode ?? "EUR",
  categories: p.categories.join(", "),
  maxPerCustomer: String(p.maxPerCustomer),
  saleStart: toDate(p.saleStartTime)?.toISOString() ?? "",
  initialStock: "",
});

/** The fields that the form changes. */
export const FIELDS = ["name", "description", "picture", "price", "categories", "max_per_customer", "sale_start_time"];

export type Errors = Partial<Record<keyof Draft, string>>;

/** What the server would refuse, by the rules of the API. */
export function check(d: Draft, isNew: boolean): Errors {
  const errors: Errors = {};
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(d.sku)) errors.sku = "Letters, digits, _, . and -; at most 64.";
  if (!d.name.trim() || d.name.length > 200) errors.name = "1 to 200 characters.";
  if (d.description.length > 4000) errors.description = "At most 4,000 characters.";
  if (d.picture.length > 500) errors.picture = "At most 500 characters.";
  if (!/^[A-Z]{3}$/.test(d.currency)) errors.currency = "Three capitals, such as EUR.";
  if (!positive(d.price)) errors.price = "More than nothing, such as 12.99.";
  const categories = categoriesOf(d);
  if (categories.length > 20 || categories.some((c) => c.length > 50))
    errors.categories = "At most 20, of 50 characters each.";
  if (!whole(d.maxPerCustomer, 1000)) errors.maxPerCustomer = "0 to 1,000; 0 is no limit.";
  if (d.saleStart && !timePattern.test(d.saleStart))
    errors.saleStart = "A time with its zone, such as 2026-12-01T09:00:00Z.";
  if (isNew && !whole(d.initialStock, 1_000_000_000)) errors.initialStock = "0 to 1,000,000,000.";
  return errors;
}

/** The product for a request. The draft has passed check. */
export const inputOf = (d: Draft): MessageInitShape<typeof ProductInputSchema> => ({
  sku: d.sku,
  name: d.name.trim(),
  description: d.description.trim(),
  picture: d.picture.trim(),
  price: moneyOf(d.currency, d.price),
  categories: categoriesOf(d),
  maxPerCustomer: Number(d.maxPerCustomer),
  saleStartTime: d.saleStart ? timestampFromDate(new Date(d.saleStart)) : undefined,
});

const timePattern =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;

const categoriesOf = (d: Draft) =>
  d.categories
    .split(",")
    .map((c) => c.trim())
    .filter(Boolean);

const whole = (text: string, max: number) => /^\d{1,10}$/.test(text.trim()) && Number(text) <= max;

function positive(price: string): boolean {
  try {
    const { units, nanos } = moneyOf("EUR", price);
    return units > 0n || (units === 0n && nanos > 0);
  } catch {
    return false;
  }
}
