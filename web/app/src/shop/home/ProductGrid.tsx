import { money } from "@spillway/client";
import type { Product } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { Picture } from "../../ui/Picture.js";
import { useLocale } from "../settings.js";

export function ProductGrid({ products }: { products: Product[] }) {
  return (
    <ul className="grid">
      {products.map((p) => (
        <li key={p.sku}>
          <ProductCard product={p} />
        </li>
      ))}
    </ul>
  );
}

function ProductCard({ product: p }: { product: Product }) {
  const { t } = useTranslation();
  const locale = useLocale();
  return (
    <Link href={`/product/${p.sku}`} className="card product">
      <Picture src={p.picture} />
      <span className="name">{p.name}</span>
      <span className="price">{money(p.price, locale)}</span>
      {p.available <= 0n && <span className="tag bad">{t("stock.soldOut")}</span>}
      {p.available > 0n && p.available <= 10n && (
        <span className="tag warn">{t("stock.few", { count: Number(p.available) })}</span>
      )}
    </Link>
  );
}
