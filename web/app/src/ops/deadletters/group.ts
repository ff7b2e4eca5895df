import type { DeadLetter } from "@spillway/client/gen/spillway/v1/dead_letter_pb";

/** Dead letters of one worker that failed for the same reason. */
export interface Group {
  key: string;
  source: string;
  /** The reason with … for what differs between them, such as ids and numbers. */
  reason: string;
  letters: DeadLetter[];
}

/** The reason without what differs between two messages with one cause: ids, numbers, and texts in quotes. */
export function causeOf(reason: string): string {
  return reason
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, "…")
    .replace(/\b[0-9A-Za-z]*\d[0-9A-Za-z_-]*\b/g, "…")
    .replace(/…(?:[\s,.:/-]*…)+/g, "…")
    .trim();
}

/** Groups dead letters by worker and cause, most first. */
export function groupByReason(letters: readonly DeadLetter[]): Group[] {
  const groups = new Map<string, Group>();
  for (const letter of letters) {
    const reason = causeOf(letter.reason);
    const key = `${letter.source}\n${reason}`;
    const group = groups.get(key) ?? { key, source: letter.source, reason, letters: [] };
    group.letters.push(letter);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.letters.length - a.letters.length || (a.key < b.key ? -1 : 1));
}
