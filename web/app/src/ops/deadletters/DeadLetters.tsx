import { type DeadLetter, DeadLetterStatus } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useSearchParams } from "wouter";
import { useApi } from "../shell/api.tsx";
import { moment } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";
import { BulkDialog } from "./BulkDialog.tsx";
import { groupByReason } from "./group.ts";
import { STATUSES, statusOf } from "./status.ts";

const pageSize = 100;

/** The dead letters by reason. What is chosen can be replayed or discarded at once. */
export function DeadLetters() {
  const [params, setParams] = useSearchParams();
  const status = statusOf(params.get("status"));
  const { deadLetters, session } = useApi();
  const client = useQueryClient();
  const key = ["dead letters", status];
  const list = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      deadLetters.listDeadLetters({ status, pageSize, pageToken: pageParam }, { signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
  const [chosen, setChosen] = useState<ReadonlySet<bigint>>(new Set());
  const [bulk, setBulk] = useState<"replay" | "discard">();
  const letters = list.data?.pages.flatMap((p) => p.letters) ?? [];
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
    void client.invalidateQueries({ queryKey: key });
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
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <p className="muted">Loading …</p>}
      {list.data && letters.length === 0 && <p className="card">There are none.</p>}
      {groupByReason(letters).map((g) => (
        <section className="card" key={g.key}>
          <h2>
            {canChange && <ChooseAll reason={g.reason} letters={g.letters} chosen={chosen} choose={choose} />}{" "}
            {g.letters.length} × {g.reason}
          </h2>
          <p className="muted">
            given up by <code>{g.source}</code>
          </p>
          <Letters letters={g.letters} chosen={chosen} choose={canChange ? choose : undefined} />
        </section>
      ))}
      {list.hasNextPage && (
        <button type="button" disabled={list.isFetching} onClick={() => void list.fetchNextPage()}>
          Load more
        </button>
      )}
      {bulk && <BulkDialog action={bulk} ids={[...chosen]} onClose={() => setBulk(undefined)} onDone={finish} />}
    </Page>
  );
}

type Choose = (ids: bigint[], on: boolean) => void;

function ChooseAll({
  reason,
  letters,
  chosen,
  choose,
}: {
  reason: string;
  letters: DeadLetter[];
  chosen: ReadonlySet<bigint>;
  choose: Choose;
}) {
  const all = letters.every((l) => chosen.has(l.id));
  return (
    <input
      type="checkbox"
      aria-label={`Choose all: ${reason}`}
      checked={all}
      onChange={() =>
        choose(
          letters.map((l) => l.id),
          !all,
        )
      }
    />
  );
}

function Letters({ letters, chosen, choose }: { letters: DeadLetter[]; chosen: ReadonlySet<bigint>; choose?: Choose }) {
  return (
    <Scroll label={`Dead letters ${letters[0]?.id ?? ""} and alike`}>
      <table>
        <thead>
          <tr>
            {choose && <th scope="col">Choose</th>}
            <th scope="col">Id</th>
            <th scope="col">Reason</th>
            <th scope="col">Order</th>
            <th scope="col">Since</th>
            <th scope="col" className="number">
              Attempts
            </th>
          </tr>
        </thead>
        <tbody>
          {letters.map((l) => (
            <tr key={String(l.id)}>
              {choose && (
                <td>
                  <input
                    type="checkbox"
                    aria-label={`Choose dead letter ${l.id}`}
                    checked={chosen.has(l.id)}
                    onChange={(e) => choose([l.id], e.target.checked)}
                  />
                </td>
              )}
              <th scope="row">
                <Link href={`/dead-letters/${l.id}`}>{String(l.id)}</Link>
              </th>
              <td className="break">{l.reason}</td>
              <td>{l.orderId && <Link href={`/orders/${l.orderId}`}>{l.orderId}</Link>}</td>
              <td>{moment(l.createTime)}</td>
              <td className="number">{l.attempts}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
