import { money, problemOf } from "@spillway/client";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { invalidFields } from "../../rules/check.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { hasSession, store } from "../api.js";
import { useLocale, useSettings } from "../settings.js";
import { DetailsForm } from "./DetailsForm.js";
import { cardOf, type Details, keepDetails, requestOf, storedDetails } from "./details.js";
import { PlacingNotice } from "./PlacingNotice.js";
import { Summary, useQuote } from "./Summary.js";
import { usePlacing } from "./usePlacing.js";

export default function Checkout() {
  const { t } = useTranslation();
  useTitle(t("checkout.title"));
  const [, go] = useLocation();
  const [details, setDetails] = useState(() => storedDetails(store));
  const [invalid, setInvalid] = useState<ReadonlySet<string>>(new Set());
  const form = useRef<HTMLFormElement>(null);
  const placing = usePlacing("cart");
  const quote = useQuote(details.countryCode);
  const { currency } = useSettings();
  const locale = useLocale();
  const { state } = placing;

  useEffect(() => {
    if (state.is === "placed") go(`/orders/${state.orderId}`, { replace: true });
  }, [state, go]);

  const change = (c: Partial<Details>) => {
    setDetails((d) => ({ ...d, ...c }));
    if (invalid.size > 0) setInvalid(invalidFields({ ...details, ...c }));
  };
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const bad = invalidFields(details);
    setInvalid(bad);
    if (bad.size > 0) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    keepDetails(store, details);
    void placing.place({
      ...requestOf(details),
      currencyCode: currency,
      expectedTotal: quote.data?.total,
      card: details.payLater ? undefined : cardOf(details),
    });
  };
  const busy = state.is === "sending" || state.is === "waiting" || state.is === "placed";
  const empty = quote.error && problemOf(quote.error).reason === "CART_EMPTY";
  if (!hasSession() || (empty && state.is === "idle")) return <Empty />;
  return (
    <>
      <h1>{t("checkout.title")}</h1>
      <div className="columns">
        <form ref={form} noValidate onSubmit={submit}>
          <DetailsForm details={details} change={change} invalid={invalid} />
          <PlacingNotice state={state} resume={() => void placing.resume()}>
            <Link href="/cart">{t("nav.cart")}</Link>
          </PlacingNotice>
          <button type="submit" className="primary wide" disabled={busy || !quote.data}>
            {t(details.payLater ? "checkout.reserve" : "checkout.pay", { total: money(quote.data?.total, locale) })}
          </button>
        </form>
        <aside>
          {quote.isPending && <Loading />}
          {quote.error && (
            <ErrorNotice error={quote.error} retry={() => void quote.refetch()}>
              <Link href="/cart">{t("nav.cart")}</Link>
            </ErrorNotice>
          )}
          {quote.data && <Summary quote={quote.data} />}
        </aside>
      </div>
    </>
  );
}

function Empty() {
  const { t } = useTranslation();
  return (
    <>
      <h1>{t("checkout.title")}</h1>
      <p>{t("errors.CART_EMPTY")}</p>
      <Link className="button" href="/">
        {t("lost.home")}
      </Link>
    </>
  );
}
