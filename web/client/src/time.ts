import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** The moment, to the millisecond; undefined stays undefined. */
export function toDate(t: Pick<Timestamp, "seconds" | "nanos"> | undefined): Date | undefined {
  return t && new Date(Number(t.seconds) * 1000 + Math.floor(t.nanos / 1e6));
}

/** The moment as people read it, in their time zone. */
export function formatTime(
  t: Pick<Timestamp, "seconds" | "nanos"> | Date | undefined,
  locale?: string,
  options: Intl.DateTimeFormatOptions = { dateStyle: "medium", timeStyle: "medium" },
): string {
  const date = t instanceof Date ? t : toDate(t);
  return date ? new Intl.DateTimeFormat(locale, options).format(date) : "";
}

/**
 * How far the server's clock is ahead of this one, in milliseconds: a response with the server's time was requested at sentMs and arrived at
 * receivedMs. The error is at most half of the round trip.
 */
export function clockOffset(serverTime: Date, sentMs: number, receivedMs: number): number {
  return serverTime.getTime() - (sentMs + receivedMs) / 2;
}
