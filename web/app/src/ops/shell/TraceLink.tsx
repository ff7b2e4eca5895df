import { traceLink, useSettings } from "./settings.ts";

/** The trace of a request: a link where it is known where traces are, otherwise its id. */
export function TraceLink({ traceId }: { traceId: string }) {
  const link = traceLink(useSettings().traceUrl, traceId);
  const id = <code className="break">{traceId}</code>;
  return link ? <a href={link}>{id}</a> : id;
}
