import { createQueryOptions } from "@connectrpc/connect-query";
import { money, retrying } from "@spillway/client";
import type { CartItem } from "@spillway/client/gen/spillway/v1/cart_pb";
import { CatalogService } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useMutation, useQueries } from "@tanstack/react-query";
import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { Picture } from "../../ui/Picture.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { hasSession, shop, store } from "../api.js";
import { storedDetails } from "../checkout/details.js";
import { Summary, useQuote } from "../checkout/Summary.js";
import { useCart } from "../Header.js";
import { queries } from "../query.js";
import { useLocale, useSettings } from "../settings.js";

export default function Cart() {
  const { t } = useTranslation();
  useTitle(t("nav.cart"));
  const cart = useCart();
  if (hasSession() && cart.isPending) return <Loading />;
  const items = cart.data?.cart?.items ?? [];
  return (
    <>
      <h1>{t("nav.cart")}</h1>
      {cart.error && <ErrorNotice error={cart.error} retry={() => void cart.refetch()} />}
      {!cart.error && items.length === 0 && (
        <>
          <p>{t("cart.empty")}</p>
          <Link className="button" href="/">
            {t("lost.home")}
          </Link>
        </>
      )}
      {items.length > 0 && <Items items={items} />}
    </>
  );
}

function Items({ items }: { items: CartItem[] }) {
  const { t } = useTranslation();
  const products = useItems(items);
  const quote = useQuote(storedDetails(store).countryCode);
  const short = items.some((item, i) => {
    const p = products[i]?.data?.product;
    return p && (p.archived || p.available < BigInt(item.quantity));
  });
  return (
    <div className="columns">
      <ul className="items">
        {items.map((item, i) => (
          <Item key={item.sku} item={item} product={products[i]?.data?.product} />
        ))}
      </ul>
      <aside>
        {short && (
          <p className="notice warn" role="status">
            {t("cart.short")}
          </p>
        )}
        {quote.error && <ErrorNotice error={quote.error} retry={() => void quote.refetch()} />}
        {quote.data && <Summary quote={quote.data} />}
        <Link className="button primary wide" href="/checkout">
          {t("cart.checkout")}
        </Link>
      </aside>
    </div>
  );
}

/** The products of the items, with their stock, which is read again while the page is visible. */
function useItems(items: CartItem[]) {
  const { currency } = useSettings();
  return useQueries({
    queries: items.map(({ sku }) => ({
      ...createQueryOptions(
        CatalogService.method.getProduct,
        { sku, currencyCode: currency },
        { transport: shop.transport },
      ),
      refetchInterval: 5_000,
    })),
  });
}

type ProductMessage = NonNullable<Awaited<ReturnType<typeof shop.catalog.getProduct>>["product"]>;

function Item({ item, product }: { item: CartItem; product?: ProductMessage }) {
  const { t } = useTranslation();
  const locale = useLocale();
  const set = useMutation({
    mutationFn: (quantity: number) => retrying(() => shop.cart.setQuantity({ sku: item.sku, quantity })),
    onSettled: () => queries.invalidateQueries(),
  });
  const left = Number(product?.available ?? 0n);
  const most = Math.max(item.quantity, Math.min(10, product?.maxPerCustomer || 10));
  return (
    <li className="card item">
      <Picture src={product?.picture ?? ""} />
      <div>
        <Link href={`/product/${item.sku}`} className="name">
          {product?.name ?? item.sku}
        </Link>
        <p className="price">{money(product?.price, locale)}</p>
        {product && left < item.quantity && (
          <p className="stock bad" role="status">
            {left === 0 ? t("stock.soldOut") : t("stock.left", { count: left })}
          </p>
        )}
        <div className="row">
          <label>
            <span>{t("product.quantity")}</span>
            <select value={item.quantity} disabled={set.isPending} onChange={(e) => set.mutate(Number(e.target.value))}>
              {Array.from({ length: most }, (_, i) => i + 1).map((n) => (
                <option key={n}>{n}</option>
              ))}
            </select>
          </label>
          {product && left > 0 && left < item.quantity && (
            <button type="button" onClick={() => set.mutate(left)}>
              {t("cart.takeLeft", { count: left })}
            </button>
          )}
          <button type="button" disabled={set.isPending} onClick={() => set.mutate(0)}>
            {t("cart.remove")}
          </button>
        </div>
        {set.error && <ErrorNotice error={set.error} />}
      </div>
    </li>
  );
}
