import { Link, useSearchParams } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { useSearch } from "./catalogue.js";
import { Categories } from "./Home.js";
import { ProductGrid } from "./ProductGrid.js";

export default function Search() {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const query = (params.get("q") ?? "").trim().slice(0, 100);
  useTitle(t("search.title", { query }));
  const found = useSearch(query);
  const products = found.data?.pages.flatMap((p) => p.products) ?? [];
  return (
    <>
      <h1>{t("search.title", { query })}</h1>
      {query !== "" && found.isPending && <Loading />}
      {found.error && <ErrorNotice error={found.error} retry={() => void found.refetch()} />}
      {found.data && products.length === 0 && (
        <>
          <p>{t("search.none")}</p>
          <Link href="/">{t("home.all")}</Link>
          <Categories />
        </>
      )}
      <ProductGrid products={products} />
      {found.hasNextPage && (
        <button type="button" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          {t("more")}
        </button>
      )}
    </>
  );
}
