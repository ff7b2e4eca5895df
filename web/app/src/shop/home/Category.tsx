import { useParams } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { useTitle } from "../../ui/useTitle.js";
import { Categories, Products } from "./Home.js";

export default function Category() {
  const { t } = useTranslation();
  const { category = "" } = useParams();
  const name = t([`categories.${category}`, "categories.other"], { name: category });
  useTitle(name);
  return (
    <>
      <h1>{name}</h1>
      <Categories current={category} />
      <Products category={category} />
    </>
  );
}
