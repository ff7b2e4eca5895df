import { money, retrying } from "@spillway/client";
import type { CartItem, Cart as CartMessage } from "@spillway/client/gen/spillway/v1/cart_pb";
import { useMutation } from "@tanstack/react-query";
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
import { useLocale } from "../settings.js";

/** How often the cart is read while it is visible: it shows what is left. */
const cartIntervalMs = 5_000;

export default function Cart() {
  const { t } = useTranslation();
  useTitle(t("nav.cart"));
  const { data, error, isPending, refetch } = useCart(cartIntervalMs);
  if (hasSession() && isPending) return <Loading />;
  const items = data?.cart?.items ?? [];
  return (
    <>
      <h1>{t("nav.cart")}</h1>
      {error && <ErrorNotice error={error} retry={() => void refetch()} />}
      {!error && items.length === 0 && (
        <>
          <p>{t("cart.empty")}</p>
          <Link className="button" href="/">
            {t("lost.home")}
          </Link>
        </>
      )}
      {data?.cart && items.length > 0 && <Items cart={data.cart} />}
    </>
  );
}

const isShort = (item: CartItem) => item.archived || item.available < BigInt(item.quantity);

function Items({ cart }: { cart: CartMessage }) {
  const { t } = useTranslation();
  const quote = useQuote(storedDetails(store).countryCode);
  return (
    <div className="columns">
      <ul className="items">
        {cart.items.map((item) => (
          <Item key={item.sku} item={item} />
        ))}
      </ul>
      <aside>
        {cart.items.some(isShort) && (
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

function Item({ item }: { item: CartItem }) {
  const { t } = useTranslation();
  const locale = useLocale();
  const set = useMutation({
    mutationFn: (quantity: number) => retrying(() => shop.cart.setQuantity({ sku: item.sku, quantity })),
    onSettled: () => queries.invalidateQueries(),
  });
  const left = Number(item.available);
  const most = Math.max(item.quantity, Math.min(10, item.maxPerCustomer || 10));
  return (
    <li className="card item">
      <Picture src={item.picture} />
      <div>
        <Link href={`/product/${item.sku}`} className="name">
          {item.name || item.sku}
        </Link>
        <p className="price">{money(item.unitPrice, locale)}</p>
        <Shortage item={item} />
        <div className="row">
          <label>
            <span>{t("product.quantity")}</span>
            <select value={item.quantity} disabled={set.isPending} onChange={(e) => set.mutate(Number(e.target.value))}>
              {Array.from({ length: most }, (_, i) => i + 1).map((n) => (
                <option key={n}>{n}</option>
              ))}
            </select>
          </label>
          {left > 0 && left < item.quantity && (
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

/** Says that fewer are left than the cart has, or none. */
function Shortage({ item }: { item: CartItem }) {
  const { t } = useTranslation();
  if (!isShort(item)) return null;
  const left = Number(item.available);
  const text = item.archived
    ? t("errors.PRODUCT_ARCHIVED")
    : left === 0
      ? t("stock.soldOut")
      : t("stock.left", { count: left });
  return (
    <p className="stock bad" role="status">
      {text}
    </p>
  );
}
