import { type Problem, problemOf } from "@spillway/client";
import { type ReactNode, useEffect, useRef } from "react";

/** A page of the console: its title, what can be done on it, and its content. The title takes the focus, so that a screen reader reads it. */
export function Page({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Spillway console`;
    heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <main id="main">
      <div className="head">
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        <div className="actions">{actions}</div>
      </div>
      {children}
    </main>
  );
}

/** An error, with its reason, what is wrong with which field, and the id under which the log has it. */
export function Failure({
  error,
  problem = problemOf(error),
  retry,
}: {
  error?: unknown;
  problem?: Problem;
  retry?: () => void;
}) {
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{problem.reason === "CONNECTION_LOST" ? "The server was not reached." : problem.message}</strong>{" "}
        <code>{problem.reason}</code>
      </p>
      {problem.fields.length > 0 && (
        <ul>
          {problem.fields.map((f) => (
            <li key={f.field + f.description}>
              <code>{f.field}</code> {f.description}
            </li>
          ))}
        </ul>
      )}
      {problem.metadata.requestId && (
        <p className="muted">
          Request <code>{problem.metadata.requestId}</code>
        </p>
      )}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
