import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import {
  type PaymentDeclined,
  PaymentDeclinedSchema,
  type PriceChanged,
  PriceChangedSchema,
  type SoldOut,
  SoldOutSchema,
} from "./gen/spillway/v1/errors_pb.js";

/** The reasons of docs/errors.md, and two of this client: the server was not reached, or its response has no reason. */
export const REASONS = [
  "INVALID_FIELD",
  "MALFORMED_BODY",
  "BODY_TOO_LARGE",
  "UNSUPPORTED_CONTENT_TYPE",
  "UNSUPPORTED_CURRENCY",
  "CART_FULL",
  "GUEST_TOKEN_INVALID",
  "TOKEN_MISSING",
  "TOKEN_INVALID",
  "ROLE_REQUIRED",
  "LOGIN_REQUIRED",
  "PROCEDURE_NOT_SERVED",
  "NOT_FOUND",
  "PRODUCT_NOT_FOUND",
  "ORDER_NOT_FOUND",
  "SHIPMENT_NOT_FOUND",
  "DEAD_LETTER_NOT_FOUND",
  "ALREADY_EXISTS",
  "PRODUCT_EXISTS",
  "ADJUSTMENT_EXISTS",
  "IDEMPOTENCY_KEY_REUSED",
  "FAILED_PRECONDITION",
  "SOLD_OUT",
  "PAYMENT_DECLINED",
  "PRICE_CHANGED",
  "UNIT_LIMIT_EXCEEDED",
  "CART_EMPTY",
  "SALE_NOT_STARTED",
  "PRODUCT_ARCHIVED",
  "ORDER_CANCELLED",
  "ORDER_EXPIRED",
  "ORDER_SHIPPED",
  "ORDER_NOT_PAID",
  "REFUND_TOO_LARGE",
  "CANCEL_INSTEAD",
  "NOTHING_TO_REFUND",
  "DEAD_LETTER_CLOSED",
  "DEAD_LETTER_EDITED",
  "AUDIT_TOO_LONG",
  "GUEST_CLAIMED",
  "TOO_MANY_GUESTS",
  "OVERLOADED",
  "LIMIT_EXCEEDED",
  "TOO_MANY_CALLS",
  "TOO_MANY_WATCHERS",
  "JOURNAL_FULL",
  "SEARCH_TOO_SLOW",
  "AUDIT_RUNNING",
  "UNAVAILABLE",
  "RESERVE_SOLD_OUT",
  "RATES_TOO_OLD",
  "ISSUER_UNAVAILABLE",
  "NOT_DURABLE_YET",
  "ORDER_BEING_SHIPPED",
  "SERVER_STOPPING",
  "STREAM_EXPIRED",
  "SLOW_READER",
  "REJECTED",
  "DEADLINE_EXCEEDED",
  "CANCELED",
  "INTERNAL",
  "CONNECTION_LOST",
  "UNKNOWN",
] as const;

export type Reason = (typeof REASONS)[number];

/** What went wrong, as values: no message has to be parsed. It can be stored as JSON but for the details of Protobuf. */
export interface Problem {
  /** A reason of a newer server is UNKNOWN; its code still decides what to do. */
  reason: Reason;
  code: Code;
  /** For people, in English. */
  message: string;
  /** What docs/errors.md lists for the reason, such as `sku` or `maximum`. */
  metadata: Record<string, string>;
  /** The same request with the same idempotency key may succeed later. */
  mayPass: boolean;
  /** How long the server asks to wait before that, in milliseconds. */
  retryDelayMs?: number;
  fields: { field: string; description: string; reason: string }[];
  soldOut?: SoldOut;
  declined?: PaymentDeclined;
  priceChanged?: PriceChanged;
}

const passing: readonly Code[] = [Code.Unavailable, Code.ResourceExhausted, Code.Aborted, Code.DeadlineExceeded];
const known: ReadonlySet<string> = new Set(REASONS);

/** Describes an error of a call, whatever it is. */
export function problemOf(error: unknown): Problem {
  const e = ConnectError.from(error);
  const info = e.findDetails(ErrorInfoSchema)[0];
  const retry = e.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const reason = info ? (known.has(info.reason) ? (info.reason as Reason) : "UNKNOWN") : reasonWithout(e);
  return {
    reason,
    code: e.code,
    message: e.rawMessage,
    metadata: { ...info?.metadata },
    mayPass: passing.includes(e.code) || reason === "CONNECTION_LOST",
    retryDelayMs: retry && Number(retry.seconds) * 1000 + Math.ceil(retry.nanos / 1e6),
    fields: (e.findDetails(BadRequestSchema)[0]?.fieldViolations ?? []).map(({ field, description, reason }) => ({
      field,
      description,
      reason,
    })),
    soldOut: e.findDetails(SoldOutSchema)[0],
    declined: e.findDetails(PaymentDeclinedSchema)[0],
    priceChanged: e.findDetails(PriceChangedSchema)[0],
  };
}

/** The reason of an error that the shop did not write: fetch failed, or a proxy responded. */
function reasonWithout(e: ConnectError): Reason {
  if (e.code === Code.Canceled) return "CANCELED";
  if (e.code === Code.DeadlineExceeded) return "DEADLINE_EXCEEDED";
  if (e.code === Code.Unavailable) return "UNAVAILABLE";
  // fetch reports a lost connection as a TypeError, which Connect wraps as `unknown`; a body that ends early is `invalid_argument` or `internal`.
  return e.cause instanceof TypeError || e.code === Code.Unknown || /premature|missing|end.?of/i.test(e.rawMessage)
    ? "CONNECTION_LOST"
    : "UNKNOWN";
}
