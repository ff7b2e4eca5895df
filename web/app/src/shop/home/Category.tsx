import { useParams } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { useManyProducts } from "./catalogue.js";
import { Categories } from "./Home.js";
import { ProductGrid } from "./ProductGrid.js";

export default function Category() {
  const { t } = useTranslation();
  const { category = "" } = useParams();
  const name = t([`categories.${category}`, "categories.other"], { name: category });
  useTitle(name);
  const { data, error, isPending, refetch } = useManyProducts();
  const products = (data?.products ?? []).filter((p) => p.categories.includes(category));
  return (
    <>
      <h1>{name}</h1>
      <Categories current={category} />
      {isPending && <Loading />}
      {error && <ErrorNotice error={error} retry={() => void refetch()} />}
      {data && products.length === 0 && <p>{t("search.none")}</p>}
      <ProductGrid products={products} />
    </>
  );
}
