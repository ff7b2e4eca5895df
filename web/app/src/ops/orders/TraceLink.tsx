/** The trace of the request that placed the order. */
export function TraceLink({ traceId }: { traceId: string }) {
  if (!traceId) return null;
  return (
    <p>
      Trace <code className="break">{traceId}</code>{" "}
      <button type="button" className="plain" onClick={() => void navigator.clipboard?.writeText(traceId)}>
        Copy
      </button>
    </p>
  );
}
