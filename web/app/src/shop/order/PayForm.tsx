import { money, problemOf, retrying, toDate } from "@spillway/client";
import type { Order } from "@spillway/client/gen/spillway/v1/order_pb";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "../../i18n/index.js";
import { invalidCard } from "../../rules/check.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useNow } from "../../ui/useNow.js";
import { shop } from "../api.js";
import { CardFields } from "../checkout/DetailsForm.js";
import { cardOf, type Details } from "../checkout/details.js";
import { countdown } from "../sale/clock.js";
import { useLocale, useServer } from "../settings.js";

/** Pays an order that was placed without a card, while its units are reserved. Paying twice is the same charge. */
export default function PayForm({ order, paid }: { order: Order; paid: (order?: Order) => void }) {
  const { t } = useTranslation();
  const locale = useLocale();
  const server = useServer();
  const now = useNow(1_000) + (server.data?.aheadMs ?? 0);
  const [card, setCard] = useState<Pick<Details, "number" | "expiry" | "cvv">>({ number: "", expiry: "", cvv: "" });
  const [invalid, setInvalid] = useState<ReadonlySet<string>>(new Set());
  const pay = useMutation({
    mutationFn: () =>
      retrying(() => shop.checkout.payOrder({ orderId: order.id, card: cardOf(card), expectedTotal: order.total })),
    onSuccess: ({ order }) => paid(order),
  });
  const leftMs = (toDate(order.expireTime)?.getTime() ?? 0) - now;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const bad = invalidCard(card);
    setInvalid(bad);
    if (bad.size === 0) pay.mutate();
  };
  return (
    <form noValidate onSubmit={submit}>
      <fieldset>
        <legend>{t("pay.title")}</legend>
        <p>{leftMs > 0 ? t("pay.until", { time: countdown(leftMs) }) : t("errors.ORDER_EXPIRED")}</p>
        <CardFields details={card} change={(c) => setCard((before) => ({ ...before, ...c }))} invalid={invalid} />
        {pay.error && (
          <ErrorNotice error={pay.error} retry={problemOf(pay.error).mayPass ? () => pay.mutate() : undefined} />
        )}
        <button type="submit" className="primary wide" disabled={pay.isPending || leftMs <= 0}>
          {t("checkout.pay", { total: money(order.total, locale) })}
        </button>
      </fieldset>
    </form>
  );
}
