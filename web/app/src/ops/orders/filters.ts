import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ListOrdersRequestSchema, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";

/** What the list of orders is narrowed to. It is in the page's address, so that a search can be sent to a colleague. */
export interface Filters {
  order: string;
  customer: string;
  email: string;
  sku: string;
  states: OrderState[];
  /** Times of this browser's time zone, as the inputs have them: 2026-11-29T14:03. */
  from: string;
  to: string;
}

export const STATES: readonly OrderState[] = [
  OrderState.PENDING,
  OrderState.PAID,
  OrderState.SHIP_FAILED,
  OrderState.SHIPPED,
  OrderState.CANCELLED,
];

const nameOf = (s: OrderState): string => OrderState[s].toLowerCase().replaceAll("_", "-");
const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/;
const timeOrNone = (s: string | null): string => (s && time.test(s) && !Number.isNaN(Date.parse(s)) ? s : "");

/** Reads the filters of an address. What it does not know is left out. */
export function filtersOf(params: URLSearchParams): Filters {
  const text = (name: string) => params.get(name)?.trim() ?? "";
  const states = params.getAll("state");
  return {
    order: text("order"),
    customer: text("customer"),
    email: text("email"),
    sku: text("sku"),
    states: STATES.filter((s) => states.includes(nameOf(s))),
    from: timeOrNone(params.get("from")),
    to: timeOrNone(params.get("to")),
  };
}

/** Writes the filters into an address; those that are not set are left out. */
export function paramsOf(f: Filters): URLSearchParams {
  const params = new URLSearchParams();
  for (const name of ["order", "customer", "email", "sku"] as const) {
    if (f[name].trim()) params.set(name, f[name].trim());
  }
  for (const s of f.states) params.append("state", nameOf(s));
  if (timeOrNone(f.from)) params.set("from", f.from);
  if (timeOrNone(f.to)) params.set("to", f.to);
  return params;
}

/** The request for a page of these orders, of all customers unless one is named. */
export function requestOf(
  f: Filters,
  pageSize: number,
  pageToken: string,
): MessageInitShape<typeof ListOrdersRequestSchema> {
  return {
    pageSize,
    pageToken,
    states: f.states,
    customerId: f.customer,
    allCustomers: f.customer === "",
    orderId: f.order,
    email: f.email,
    sku: f.sku,
    createTimeFrom: f.from ? timestampFromDate(new Date(f.from)) : undefined,
    createTimeTo: f.to ? timestampFromDate(new Date(f.to)) : undefined,
  };
}
