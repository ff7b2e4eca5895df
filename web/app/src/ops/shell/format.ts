import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";

type Span = Pick<Duration, "seconds" | "nanos">;
type Moment = Pick<Timestamp, "seconds" | "nanos">;

/** What stands where a figure is not known. */
export const unknown = "–";

export const millis = (d: Span): number => Number(d.seconds) * 1000 + d.nanos / 1e6;

/** A duration in two units at most: 350 ms, 4.2 s, 3 min 12 s, 5 h 7 min, 3 d 4 h. It is never negative. */
export function span(ms: number): string {
  const t = Math.max(0, ms);
  if (t < 999.5) return `${Math.round(t)} ms`;
  if (t < 59_950) return `${(t / 1000).toFixed(1)} s`;
  const s = Math.round(t / 1000);
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  const min = Math.round(s / 60);
  if (min < 24 * 60) return `${Math.floor(min / 60)} h ${min % 60} min`;
  const h = Math.floor(min / 60);
  return `${Math.floor(h / 24)} d ${h % 24} h`;
}

export const duration = (d: Span | undefined): string => (d ? span(millis(d)) : unknown);

/** A whole number with a separator before each three digits, exact however large. */
export const count = (n: bigint | number | undefined): string => (n === undefined ? unknown : n.toLocaleString("en"));

/** A rate a second: one decimal below 100. */
export function rate(v: number | undefined): string {
  if (v === undefined) return unknown;
  return v >= 99.95 ? Math.round(v).toLocaleString("en") : v.toFixed(1);
}

/** A moment in this browser's time zone: 2026-11-29 14:03:05. */
export function moment(t: Moment | undefined): string {
  if (!t) return unknown;
  const d = new Date(Number(t.seconds) * 1000 + Math.floor(t.nanos / 1e6));
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export const dateOf = (t: Moment): Date => new Date(Number(t.seconds) * 1000 + Math.floor(t.nanos / 1e6));

/** The time between two moments; 0 if clocks differ so that it would be negative. */
export const between = (from: Moment, to: Moment): number => Math.max(0, dateOf(to).getTime() - dateOf(from).getTime());

/** The name of an enum's value in words: "SHIP_FAILED" is "ship failed". */
export const words = (name: string | undefined): string => (name ?? "unknown").toLowerCase().replaceAll("_", " ");

/** Hides personal data but for what recognizes it: "a•••@example.com", "J•••". */
export function masked(text: string): string {
  if (!text) return "";
  const [name = "", domain] = text.split("@");
  return domain ? `${[...name][0] ?? ""}•••@${domain}` : `${[...name][0] ?? ""}•••`;
}
