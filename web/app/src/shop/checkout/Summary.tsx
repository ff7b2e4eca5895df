import { useQuery } from "@connectrpc/connect-query";
import { money } from "@spillway/client";
import { CheckoutService, type QuoteResponse } from "@spillway/client/gen/spillway/v1/checkout_pb";
import { useTranslation } from "../../i18n/index.js";
import { hasSession } from "../api.js";
import { useLocale, useSettings } from "../settings.js";

/** The price of the lines, or of the cart, sent to the country. */
export function useQuote(countryCode: string, lines: { sku: string; quantity: number }[] = []) {
  const { currency } = useSettings();
  return useQuery(
    CheckoutService.method.quote,
    { lines, currencyCode: currency, countryCode },
    { enabled: lines.length > 0 || hasSession(), placeholderData: (before) => before },
  );
}

export function Summary({ quote }: { quote: Pick<QuoteResponse, "lines" | "itemsTotal" | "shippingTotal" | "total"> }) {
  const { t } = useTranslation();
  const locale = useLocale();
  return (
    <section className="card summary">
      <h2>{t("checkout.summary")}</h2>
      <table>
        <tbody>
          {quote.lines.map((l) => (
            <tr key={l.sku}>
              <th scope="row">
                {l.quantity} × {l.name}
              </th>
              <td>{money(l.total, locale)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{t("checkout.items")}</th>
            <td>{money(quote.itemsTotal, locale)}</td>
          </tr>
          <tr>
            <th scope="row">{t("checkout.shipping")}</th>
            <td>{money(quote.shippingTotal, locale)}</td>
          </tr>
          <tr className="total">
            <th scope="row">{t("checkout.total")}</th>
            <td>{money(quote.total, locale)}</td>
          </tr>
        </tfoot>
      </table>
    </section>
  );
}
