import { money } from "@spillway/client";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { useProblemText } from "../../ui/Notice.js";
import { useNow } from "../../ui/useNow.js";
import { useLocale } from "../settings.js";
import type { Placing } from "./usePlacing.js";

/** What became of a purchase so far, and what one can do now. */
export function PlacingNotice({
  state,
  resume,
  children,
}: {
  state: Placing;
  resume: () => void;
  children?: ReactNode;
}) {
  const { t } = useTranslation();
  const text = useProblemText();
  switch (state.is) {
    case "idle":
    case "placed":
      return null;
    case "sending":
      return (
        <p className="notice" role="status">
          {t("placing.sending")}
        </p>
      );
    case "waiting":
      return <Waiting state={state} />;
    case "unclear":
      return (
        <div className="notice warn" role="alert">
          <p>{text(state.problem)}</p>
          <p>{t("placing.unclear")}</p>
          <div className="row">
            <button type="button" className="primary" onClick={resume}>
              {t("placing.findOut")}
            </button>
            <Link href="/orders">{t("nav.orders")}</Link>
          </div>
        </div>
      );
    case "refused":
      return (
        <div className="notice bad" role="alert">
          <p>{text(state.problem)}</p>
          <Refusal state={state} />
          {children && <div className="row">{children}</div>}
        </div>
      );
  }
}

/** The server asked to wait: how long still, and that nothing has to be done. */
function Waiting({ state }: { state: Extract<Placing, { is: "waiting" }> }) {
  const { t } = useTranslation();
  const text = useProblemText();
  const seconds = Math.max(0, Math.ceil((state.untilMs - useNow(250)) / 1000));
  return (
    <div className="notice warn" role="status">
      <p>{text(state.problem)}</p>
      <p>{t("placing.waiting", { seconds, attempt: state.attempt + 1 })}</p>
    </div>
  );
}

/** What the error's details add. */
function Refusal({ state }: { state: Extract<Placing, { is: "refused" }> }) {
  const { t } = useTranslation();
  const locale = useLocale();
  const { soldOut, priceChanged } = state.problem;
  if (priceChanged) {
    return (
      <p>
        {t("placing.price", {
          before: money(priceChanged.expected, locale),
          now: money(priceChanged.actual, locale),
        })}
      </p>
    );
  }
  return (
    <ul>
      {soldOut?.items.map((i) => (
        <li key={i.sku}>
          <Link href={`/product/${i.sku}`}>{i.sku}</Link>{" "}
          {t("placing.left", { requested: Number(i.requested), available: Number(i.available) })}
        </li>
      ))}
    </ul>
  );
}
