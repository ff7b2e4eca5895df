import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { useTitle } from "../../ui/useTitle.js";

export default function Lost() {
  const { t } = useTranslation();
  useTitle(t("lost.title"));
  return (
    <>
      <h1>{t("lost.title")}</h1>
      <p>{t("lost.text")}</p>
      <Link className="button" href="/">
        {t("lost.home")}
      </Link>
    </>
  );
}
