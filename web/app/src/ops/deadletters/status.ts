import { DeadLetterStatus } from "@spillway/client/gen/spillway/v1/dead_letter_pb";

/** What the list can be narrowed to, by the name in the page's address. */
export const STATUSES = [
  { name: "open", label: "Open", status: DeadLetterStatus.OPEN },
  { name: "replayed", label: "Replayed", status: DeadLetterStatus.REPLAYED },
  { name: "discarded", label: "Discarded", status: DeadLetterStatus.DISCARDED },
  { name: "all", label: "All", status: DeadLetterStatus.UNSPECIFIED },
] as const;

export const statusOf = (name: string | null): DeadLetterStatus =>
  (STATUSES.find((s) => s.name === name) ?? STATUSES[0]).status;
