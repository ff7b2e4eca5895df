import type { Problem } from "@spillway/client";
import { problemOf } from "@spillway/client";
import type { ReactNode } from "react";
import { useTranslation } from "../i18n/index.js";

/** The sentence for an error, in the page's language. */
export function useProblemText(): (problem: Problem) => string {
  const { t } = useTranslation();
  return (problem) => {
    if (problem.reason === "PAYMENT_DECLINED") {
      const code = problem.declined?.declineCode ?? "";
      return t([`decline.${code}`, "decline.generic_decline"]);
    }
    if (problem.reason === "LIMIT_EXCEEDED" || problem.reason === "UNIT_LIMIT_EXCEEDED") {
      return t([`limits.${problem.metadata.limit}`, `errors.${problem.reason}`], problem.metadata);
    }
    return t([`errors.${problem.reason}`, "errors.UNKNOWN"], problem.metadata);
  };
}

/** An error with what one can do about it. */
export function ErrorNotice({ error, retry, children }: { error: unknown; retry?: () => void; children?: ReactNode }) {
  const { t } = useTranslation();
  const text = useProblemText();
  const problem = problemOf(error);
  return (
    <div className="notice bad" role="alert">
      <p>{text(problem)}</p>
      <div className="row">
        {retry && (
          <button type="button" onClick={retry}>
            {t("retry")}
          </button>
        )}
        {children}
      </div>
      {problem.reason === "INTERNAL" && problem.metadata.requestId && (
        <p className="small">
          {t("requestId")} <code>{problem.metadata.requestId}</code>
        </p>
      )}
    </div>
  );
}
