import { money, retrying } from "@spillway/client";
import type { Product as ProductMessage } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { Picture } from "../../ui/Picture.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { shop } from "../api.js";
import { queries } from "../query.js";
import { useLocale } from "../settings.js";
import { Missing } from "./Missing.js";
import { useProduct } from "./useProduct.js";

export default function Product() {
  const { sku = "" } = useParams();
  const { data, error, isPending, refetch } = useProduct(sku);
  const product = data?.product;
  useTitle(product?.name);
  if (isPending) return <Loading />;
  if (!product) {
    return <Missing error={error} again={() => void refetch()} />;
  }
  return <Details product={product} />;
}

function Details({ product: p }: { product: ProductMessage }) {
  const { t } = useTranslation();
  const locale = useLocale();
  return (
    <article className="detail">
      <Picture src={p.picture} large />
      <div>
        <h1>{p.name}</h1>
        <p className="price large">{money(p.price, locale)}</p>
        <p>{p.description}</p>
        <StockLine available={p.available} />
        {p.maxPerCustomer > 0 && <p className="small">{t("product.limit", { count: p.maxPerCustomer })}</p>}
        {p.archived ? <p className="notice">{t("errors.PRODUCT_ARCHIVED")}</p> : <AddToCart product={p} />}
        <p>
          <Link href={`/sale/${p.sku}`}>{t("product.sale")}</Link>
        </p>
        <p className="chips">
          {p.categories.map((c) => (
            <Link key={c} className="chip" href={`/category/${encodeURIComponent(c)}`}>
              {t([`categories.${c}`, "categories.other"], { name: c })}
            </Link>
          ))}
        </p>
      </div>
    </article>
  );
}

export function StockLine({ available }: { available: bigint }) {
  const { t } = useTranslation();
  const left = Number(available);
  return (
    <p className={left === 0 ? "stock bad" : left <= 10 ? "stock warn" : "stock good"} role="status">
      {left === 0 ? t("stock.soldOut") : t("stock.left", { count: left })}
    </p>
  );
}

/** Adds units by setting the sum, which may be repeated; adding may not. */
async function addToCart(sku: string, quantity: number) {
  const { cart } = await retrying(() => shop.cart.getCart({}));
  const before = cart?.items.find((i) => i.sku === sku)?.quantity ?? 0;
  await retrying(() => shop.cart.setQuantity({ sku, quantity: before + quantity }));
  await queries.invalidateQueries();
}

function AddToCart({ product: p }: { product: ProductMessage }) {
  const { t } = useTranslation();
  const [quantity, setQuantity] = useState(1);
  const add = useMutation({ mutationFn: () => addToCart(p.sku, quantity) });
  const most = Math.max(1, Math.min(10, p.maxPerCustomer || 10, Number(p.available)));
  return (
    <>
      <div className="row">
        <label>
          <span>{t("product.quantity")}</span>
          <select value={Math.min(quantity, most)} onChange={(e) => setQuantity(Number(e.target.value))}>
            {Array.from({ length: most }, (_, i) => i + 1).map((n) => (
              <option key={n}>{n}</option>
            ))}
          </select>
        </label>
        <button
          type="button"
          className="primary"
          disabled={add.isPending || p.available <= 0n}
          onClick={() => add.mutate()}
        >
          {t("product.add")}
        </button>
      </div>
      {add.isSuccess && (
        <p className="notice good" role="status">
          {t("product.added")} <Link href="/cart">{t("product.toCart")}</Link>
        </p>
      )}
      {add.error && <ErrorNotice error={add.error} retry={() => add.mutate()} />}
    </>
  );
}
