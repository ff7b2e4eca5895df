import { ProductSort } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useState } from "react";
import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { useManyProducts, useProducts } from "./catalogue.js";
import { categoriesOf } from "./categories.js";
import { ProductGrid } from "./ProductGrid.js";

export default function Home() {
  const { t } = useTranslation();
  useTitle(undefined);
  const first = useProducts().data?.pages[0]?.products[0];
  return (
    <>
      <section className="hero">
        <h1>{t("home.title")}</h1>
        <p>{t("home.text")}</p>
        {first && (
          <Link className="button" href={`/sale/${first.sku}`}>
            {t("home.sale")}
          </Link>
        )}
      </section>
      <Categories />
      <Products />
    </>
  );
}

const SORTS = [ProductSort.UNSPECIFIED, ProductSort.PRICE, ProductSort.PRICE_DESCENDING, ProductSort.NAME];

/** The products of a category, or all, sorted as one likes, a page after the other. */
export function Products({ category }: { category?: string }) {
  const { t } = useTranslation();
  const [sort, setSort] = useState(ProductSort.UNSPECIFIED);
  const products = useProducts(category, sort);
  const list = products.data?.pages.flatMap((p) => p.products) ?? [];
  return (
    <>
      <label className="sort small">
        <span>{t("sort.label")}</span>
        <select value={sort} onChange={(e) => setSort(Number(e.target.value))}>
          {SORTS.map((s) => (
            <option key={s} value={s}>
              {t(`sort.${ProductSort[s]}`)}
            </option>
          ))}
        </select>
      </label>
      {products.isPending && <Loading />}
      {products.error && <ErrorNotice error={products.error} retry={() => void products.refetch()} />}
      {products.data && list.length === 0 && <p>{t("search.none")}</p>}
      <ProductGrid products={list} />
      {products.hasNextPage && (
        <button type="button" disabled={products.isFetchingNextPage} onClick={() => void products.fetchNextPage()}>
          {t("more")}
        </button>
      )}
    </>
  );
}

/** Links to the categories. */
export function Categories({ current }: { current?: string }) {
  const { t } = useTranslation();
  const { data } = useManyProducts();
  return (
    <nav className="chips" aria-label={t("home.categories")}>
      <Link href="/" className={current ? "chip" : "chip on"} aria-current={current ? undefined : "page"}>
        {t("home.all")}
      </Link>
      {categoriesOf(data?.products ?? []).map((c) => (
        <Link
          key={c}
          href={`/category/${encodeURIComponent(c)}`}
          className={c === current ? "chip on" : "chip"}
          aria-current={c === current ? "page" : undefined}
        >
          {t([`categories.${c}`, "categories.other"], { name: c })}
        </Link>
      ))}
    </nav>
  );
}
