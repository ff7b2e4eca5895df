import { money, toDate } from "@spillway/client";
import type { Product } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useRef } from "react";
import { Link, useParams } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { Picture } from "../../ui/Picture.js";
import { useNow } from "../../ui/useNow.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { DetailsForm } from "../checkout/DetailsForm.js";
import { PlacingNotice } from "../checkout/PlacingNotice.js";
import { useQuote } from "../checkout/Summary.js";
import { useDetails } from "../checkout/useDetails.js";
import { usePlacing } from "../checkout/usePlacing.js";
import { useInStock } from "../home/catalogue.js";
import { ProductGrid } from "../home/ProductGrid.js";
import { useOrder } from "../order/useOrder.js";
import { Missing } from "../product/Missing.js";
import { useProduct } from "../product/useProduct.js";
import { useLocale, useServer, useSettings } from "../settings.js";
import { countdown, share } from "./clock.js";

/** The stock of a sale moves fast. */
const stockIntervalMs = 1_000;

export default function Sale() {
  const { t } = useTranslation();
  const { sku = "" } = useParams();
  const { data, error, isPending, refetch } = useProduct(sku, stockIntervalMs);
  useTitle(data?.product && t("sale.title", { name: data.product.name }));
  if (isPending) return <Loading />;
  if (!data?.product) {
    return <Missing error={error} again={() => void refetch()} />;
  }
  return <Running key={sku} product={data.product} stale={error !== null} />;
}

function Running({ product: p, stale }: { product: Product; stale: boolean }) {
  const { t } = useTranslation();
  const locale = useLocale();
  const placing = usePlacing(`sale:${p.sku}`);
  const { state } = placing;
  return (
    <>
      <h1>{t("sale.title", { name: p.name })}</h1>
      <div className="columns">
        <div>
          <Picture src={p.picture} large />
          <p className="price large">{money(p.price, locale)}</p>
          <p>{p.description}</p>
          <StockBar left={Number(p.available)} />
          {stale && <p className="small">{t("sale.stale")}</p>}
        </div>
        <div>
          {state.is === "placed" ? (
            <Bought orderId={state.orderId} again={placing.again} />
          ) : (
            <Buy product={p} placing={placing} />
          )}
        </div>
      </div>
    </>
  );
}

function StockBar({ left }: { left: number }) {
  const { t } = useTranslation();
  const most = useRef(left);
  most.current = Math.max(most.current, left);
  return (
    <div className="stockbar">
      <progress max={1} value={share(left, most.current)} aria-label={t("sale.bar")} />
      <p role="status" className={left === 0 ? "stock bad" : "stock"}>
        {left === 0 ? t("stock.soldOut") : t("stock.left", { count: left })}
      </p>
    </div>
  );
}

/** How long until the sale begins, by the server's clock; 0 once it has begun. */
function useStartsIn(p: Product): number {
  const start = toDate(p.saleStartTime)?.getTime();
  const server = useServer();
  const now = useNow(250, start !== undefined) + (server.data?.aheadMs ?? 0);
  return start === undefined ? 0 : Math.max(0, start - now);
}

function Buy({ product: p, placing }: { product: Product; placing: ReturnType<typeof usePlacing> }) {
  const { t } = useTranslation();
  const { currency } = useSettings();
  const { form, details, invalid, change, submit } = useDetails();
  const startsInMs = useStartsIn(p);
  const lines = [{ sku: p.sku, quantity: 1 }];
  const quote = useQuote(details.countryCode, lines);
  const locale = useLocale();
  const price = money(quote.data?.total, locale);
  const shipping = money(quote.data?.shippingTotal, locale);
  const { state } = placing;
  const soldOut = p.available <= 0n || (state.is === "refused" && state.problem.reason === "SOLD_OUT");
  const busy = state.is === "sending" || state.is === "waiting";
  const place = submit((order) => {
    void placing.place({ lines, ...order, currencyCode: currency, expectedTotal: quote.data?.total });
  });
  return (
    <form ref={form} noValidate onSubmit={place}>
      {startsInMs > 0 && (
        <p className="notice countdown" role="timer">
          {t("sale.startsIn")} <strong>{countdown(startsInMs)}</strong>
        </p>
      )}
      <PlacingNotice state={state} resume={() => void placing.resume()}>
        <Link href="/orders">{t("nav.orders")}</Link>
      </PlacingNotice>
      {soldOut && !busy && state.is !== "unclear" ? (
        <SoldOut sku={p.sku} />
      ) : (
        <>
          <button type="submit" className="primary wide big" disabled={busy || startsInMs > 0 || p.archived}>
            {t("sale.buy", { price })}
          </button>
          <p className="small">
            {quote.data && t("sale.shipping", { shipping })} {t("sale.once")}
          </p>
          <DetailsForm details={details} change={change} invalid={invalid} />
        </>
      )}
    </form>
  );
}

/** The order that was made, live: paid, or pending until the provider responds. */
function Bought({ orderId, again }: { orderId: string; again: () => void }) {
  const { t } = useTranslation();
  const { order } = useOrder(orderId);
  const name = order ? ["unspecified", "pending", "paid", "cancelled", "paid", "paid"][order.state] : "unspecified";
  return (
    <div
      className={name === "cancelled" ? "notice bad" : name === "pending" ? "notice warn" : "notice good"}
      role="status"
    >
      <h2>{t(`sale.bought.${name}`)}</h2>
      <p>{t(`sale.boughtText.${name === "pending" && order?.expireTime ? "reserved" : name}`)}</p>
      <div className="row">
        <Link className="button primary" href={`/orders/${orderId}`}>
          {t("sale.follow")}
        </Link>
        <button type="button" onClick={again}>
          {t("sale.another")}
        </button>
      </div>
    </div>
  );
}

/** How many other products are shown when one is sold out. */
const others = 4;

/** What else there is. */
function SoldOut({ sku }: { sku: string }) {
  const { t } = useTranslation();
  const { data } = useInStock(others + 1);
  const products = (data?.products ?? []).filter((p) => p.sku !== sku).slice(0, others);
  return (
    <section>
      <h2>{t("sale.soldOut")}</h2>
      <p>{t("sale.soldOutText")}</p>
      <ProductGrid products={products} />
    </section>
  );
}
