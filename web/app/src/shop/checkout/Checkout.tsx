import { money, problemOf } from "@spillway/client";
import { useEffect } from "react";
import { Link, useLocation } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { hasSession } from "../api.js";
import { useLocale, useSettings } from "../settings.js";
import { DetailsForm } from "./DetailsForm.js";
import { PlacingNotice } from "./PlacingNotice.js";
import { Summary, useQuote } from "./Summary.js";
import { useDetails } from "./useDetails.js";
import { usePlacing } from "./usePlacing.js";

export default function Checkout() {
  const { t } = useTranslation();
  useTitle(t("checkout.title"));
  const [, go] = useLocation();
  const { form, details, invalid, change, submit } = useDetails();
  const placing = usePlacing("cart");
  const quote = useQuote(details.countryCode);
  const { currency } = useSettings();
  const locale = useLocale();
  const { state } = placing;

  useEffect(() => {
    if (state.is === "placed") go(`/orders/${state.orderId}`, { replace: true });
  }, [state, go]);

  const place = submit((order) => {
    void placing.place({ ...order, currencyCode: currency, expectedTotal: quote.data?.total });
  });
  const busy = state.is === "sending" || state.is === "waiting" || state.is === "placed";
  const empty = quote.error && problemOf(quote.error).reason === "CART_EMPTY";
  if (!hasSession() || (empty && state.is === "idle")) return <Empty />;
  return (
    <>
      <h1>{t("checkout.title")}</h1>
      <div className="columns">
        <form ref={form} noValidate onSubmit={place}>
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
