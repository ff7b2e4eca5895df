import { create } from "@bufbuild/protobuf";
import { DeadLetterSchema } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { expect, it } from "vitest";
import { causeOf, groupByReason } from "../../src/ops/deadletters/group.ts";

it("causeOf leaves out ids, numbers and quoted texts", () => {
  const a = causeOf('order 01K9X2ABCDEF: SKU "MUG-1" has -3 units, the row takes 12');
  expect(a).toBe(causeOf('order 01K9X3ZZZZZZ: SKU "CUP" has -40 units, the row takes 7'));
  expect(a).toContain("units, the row takes …");
  expect(causeOf("unknown state")).toBe("unknown state");
});

it("groupByReason puts most first, and workers apart", () => {
  const letter = (id: bigint, source: string, reason: string) => create(DeadLetterSchema, { id, source, reason });
  const groups = groupByReason([
    letter(1n, "mailer", "no address"),
    letter(2n, "order_writer", "bad row 7"),
    letter(3n, "order_writer", "bad row 8"),
    letter(4n, "order_writer", "no address"),
  ]);
  expect(groups.map((g) => [g.source, g.letters.map((l) => l.id)])).toEqual([
    ["order_writer", [2n, 3n]],
    ["mailer", [1n]],
    ["order_writer", [4n]],
  ]);
});
