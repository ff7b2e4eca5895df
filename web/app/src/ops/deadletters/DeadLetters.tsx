import { type DeadLetterGroup, DeadLetterStatus } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { useApi } from "../shell/api.tsx";
import { Failure, Page } from "../shell/Page.tsx";
import { BulkDialog } from "./BulkDialog.tsx";
import { Group } from "./Group.tsx";
import { STATUSES, statusOf } from "./status.ts";

/** So many groups show their dead letters at once; those of others are read when they are opened. */
const openGroups = 3;

/** The dead letters by worker, payload and reason, as the server counts them. What is chosen can be replayed or discarded at once. */
export function DeadLetters() {
  const [params, setParams] = useSearchParams();
  const status = statusOf(params.get("status"));
  const { deadLetters, session } = useApi();
  const client = useQueryClient();
  const summary = useQuery({
    queryKey: ["dead letters", status, "groups"],
    queryFn: ({ signal }) => deadLetters.summarizeDeadLetters({ status }, { signal }),
  });
  const [chosen, setChosen] = useState<ReadonlySet<bigint>>(new Set());
  const [bulk, setBulk] = useState<"replay" | "discard">();
  const groups = summary.data?.groups ?? [];
  const canChange = session.canChange && status === DeadLetterStatus.OPEN;
  const choose = (ids: bigint[], on: boolean) =>
    setChosen((before) => {
      const after = new Set(before);
      for (const id of ids) on ? after.add(id) : after.delete(id);
      return after;
    });
  const finish = () => {
    setBulk(undefined);
    setChosen(new Set());
    void client.invalidateQueries({ queryKey: ["dead letters"] });
  };
  return (
    <Page
      title="Dead letters"
      actions={
        canChange && (
          <>
            <span className="muted">{chosen.size} chosen</span>
            <button type="button" disabled={chosen.size === 0} onClick={() => setBulk("replay")}>
              Replay …
            </button>
            <button type="button" disabled={chosen.size === 0} onClick={() => setBulk("discard")}>
              Discard …
            </button>
          </>
        )
      }
    >
      <fieldset>
        <legend className="hidden">Status</legend>
        {STATUSES.map((s) => (
          <label key={s.name}>
            <input
              type="radio"
              name="status"
              checked={s.status === status}
              onChange={() => {
                setChosen(new Set());
                setParams(s.name === "open" ? {} : { status: s.name });
              }}
            />{" "}
            {s.label}
          </label>
        ))}
      </fieldset>
      {summary.error && <Failure error={summary.error} retry={() => void summary.refetch()} />}
      {summary.isPending && <p className="muted">Loading …</p>}
      {summary.data && groups.length === 0 && <p className="card">There are none.</p>}
      {groups.map((g, i) => (
        <Group
          key={keyOf(g)}
          group={g}
          status={status}
          startsOpen={i < openGroups}
          chosen={chosen}
          choose={canChange ? choose : undefined}
        />
      ))}
      {summary.data?.truncated && (
        <p className="notice">These are the {groups.length} most frequent reasons. There are more.</p>
      )}
      {bulk && <BulkDialog action={bulk} ids={[...chosen]} onClose={() => setBulk(undefined)} onDone={finish} />}
    </Page>
  );
}

const keyOf = (g: DeadLetterGroup) => JSON.stringify([g.source, g.payloadType, g.reason]);
