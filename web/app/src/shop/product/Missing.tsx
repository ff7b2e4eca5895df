import { problemOf } from "@spillway/client";
import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";

/** In place of a product that does not exist, or could not be read. */
export function Missing({ error, again }: { error: unknown; again: () => void }) {
  const { t } = useTranslation();
  const unknown = problemOf(error).reason === "PRODUCT_NOT_FOUND";
  return (
    <>
      <h1>{t(unknown ? "lost.title" : "product.failed")}</h1>
      <ErrorNotice error={error} retry={unknown ? undefined : again}>
        <Link href="/">{t("lost.home")}</Link>
      </ErrorNotice>
    </>
  );
}
