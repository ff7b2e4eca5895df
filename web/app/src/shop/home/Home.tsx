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
  const products = useProducts();
  const list = products.data?.pages.flatMap((p) => p.products) ?? [];
  return (
    <>
      <section className="hero">
        <h1>{t("home.title")}</h1>
        <p>{t("home.text")}</p>
        {list[0] && (
          <Link className="button" href={`/sale/${list[0].sku}`}>
            {t("home.sale")}
          </Link>
        )}
      </section>
      <Categories />
      {products.isPending && <Loading />}
      {products.error && <ErrorNotice error={products.error} retry={() => void products.refetch()} />}
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
      <Link href="/" className={current ? "chip" : "chip on"}>
        {t("home.all")}
      </Link>
      {categoriesOf(data?.products ?? []).map((c) => (
        <Link key={c} href={`/category/${encodeURIComponent(c)}`} className={c === current ? "chip on" : "chip"}>
          {t([`categories.${c}`, "categories.other"], { name: c })}
        </Link>
      ))}
    </nav>
  );
}
