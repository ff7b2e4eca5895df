/** A time span as a clock shows it: "1:02:03", "02:03", "3 d 01:02:03" without words. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const pad = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${pad(Math.floor((seconds % 3600) / 60))}:${pad(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** The start of a sale, from its link: ?start=2026-11-29T10:00:00Z; undefined if there is none, or no time. */
export function startOf(text: string | null): number | undefined {
  const ms = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** The stock bar: what is left, of the most that this browser has seen. */
export function share(left: number, most: number): number {
  return most > 0 ? Math.max(0, Math.min(1, left / most)) : 0;
}
