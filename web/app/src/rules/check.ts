import { create } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { Details } from "../shop/checkout/details.js";
import { cardOf, requestOf } from "../shop/checkout/details.js";
import { PlaceOrderRequestSchema } from "./gen/spillway/v1/checkout_pb.js";
import { CardSchema } from "./gen/spillway/v1/payment_pb.js";

const validator = createValidator();

/** The fields that break the rules of the API, by their paths in the request, such as "shipping_address.city". */
export function invalidFields(details: Details): Set<string> {
  const request = create(PlaceOrderRequestSchema, { ...requestOf(details), currencyCode: "EUR" });
  const fields = fieldsOf(validator.validate(PlaceOrderRequestSchema, request));
  if (!details.payLater) for (const f of invalidCard(details)) fields.add(f);
  return fields;
}

/** The same for the card alone: "card.number". */
export function invalidCard(details: Pick<Details, "number" | "expiry" | "cvv">): Set<string> {
  const card = cardOf(details);
  const fields = fieldsOf(validator.validate(CardSchema, create(CardSchema, card)));
  return new Set([...fields].map((f) => `card.${f}`));
}

type Result = ReturnType<typeof validator.validate>;

function fieldsOf(result: Result): Set<string> {
  return new Set(result.violations?.map((v) => pathToString(v.field)) ?? []);
}
