/** A load, as the server takes it. */
export interface Load {
  scenario: "flash-sale" | "uniform" | "mixed";
  /** Arrivals a second. */
  rate: number;
  /** In seconds. */
  duration: number;
  /** Units of a flash sale. */
  stock: number;
}

/** The figures of a load so far. The percentiles are of the last second, in milliseconds. */
export interface Figures {
  seconds: number;
  accepted: number;
  soldOut: number;
  shed: number;
  failed: number;
  other: number;
  notSent: number;
  retries: number;
  inFlight: number;
  p50: number;
  p99: number;
}

interface Check {
  status: string;
  note?: string;
}

export interface LabState {
  running: boolean;
  phase?: string;
  load?: Load;
  figures?: Figures;
  verdict?: "ok" | "violated" | "not_run";
  result?: { record: Check; audit: Check };
  error?: string;
}

/** Calls the load lab of a shop for development. */
export async function callLab(
  token: string,
  method: "GET" | "POST" | "DELETE",
  load?: Load,
  signal?: AbortSignal,
): Promise<LabState> {
  const response = await fetch("/ops/load.json", {
    method,
    signal,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: load && JSON.stringify(load),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(body.message ?? `status ${response.status}`);
  return body;
}

/** The rates between two readings, a second. Without time between them there are none. */
export function ratesOf(
  before: Figures | undefined,
  now: Figures,
): Pick<Figures, "accepted" | "soldOut" | "shed" | "failed"> | undefined {
  const seconds = now.seconds - (before?.seconds ?? 0);
  if (seconds <= 0) return undefined;
  const rate = (name: "accepted" | "soldOut" | "shed" | "failed") =>
    Math.max(0, now[name] - (before?.[name] ?? 0)) / seconds;
  return { accepted: rate("accepted"), soldOut: rate("soldOut"), shed: rate("shed"), failed: rate("failed") };
}
