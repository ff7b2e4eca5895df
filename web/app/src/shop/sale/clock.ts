const secondsPerHour = 3600;
const hoursPerDay = 24;

/** A time span as a clock shows it: "02:03", "1:02:03", and from a day on "3 d 1:02:03". */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const pad = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / secondsPerHour);
  const rest = `${pad(Math.floor((seconds % secondsPerHour) / 60))}:${pad(seconds % 60)}`;
  const days = Math.floor(hours / hoursPerDay);
  if (days > 0) return `${days} d ${hours % hoursPerDay}:${rest}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** The stock bar: what is left, of the most that this browser has seen. */
export function share(left: number, most: number): number {
  return most > 0 ? Math.max(0, Math.min(1, left / most)) : 0;
}
