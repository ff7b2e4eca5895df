import type { DeadLetter, DeadLetterGroup, DeadLetterStatus } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useApi } from "../shell/api.tsx";
import { count, moment } from "../shell/format.ts";
import { Failure } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";

const pageSize = 20;
/** So many dead letters of a group can be chosen at once: more rows slow the page down. */
const chooseMax = 1_000;

/** Adds dead letters to those that are chosen, or takes them out. */
type Choose = (ids: bigint[], on: boolean) => void;

interface Props {
  group: DeadLetterGroup;
  status: DeadLetterStatus;
  startsOpen: boolean;
  chosen: ReadonlySet<bigint>;
  /** Undefined where nothing can be done about them. */
  choose?: Choose;
}

/** The dead letters of one worker with one reason, a page after the other. */
export function Group({ group: g, status, startsOpen, chosen, choose }: Props) {
  const [isOpen, setOpen] = useState(startsOpen);
  const list = useLetters(g, status, isOpen);
  const letters = list.data?.pages.flatMap((p) => p.letters) ?? [];
  return (
    <section className="card">
      <details open={isOpen} onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>
          <h2>
            {count(g.count)} × {g.reason}
          </h2>
          <p className="muted">
            <code>{g.payloadType}</code> given up by <code>{g.source}</code>, {since(g)}
          </p>
        </summary>
        {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
        {isOpen && list.isPending && <p className="muted">Loading …</p>}
        {letters.length > 0 && (
          <Letters
            letters={letters}
            chosen={chosen}
            choose={choose}
            chooseAll={choose && <ChooseAll group={g} list={list} letters={letters} chosen={chosen} choose={choose} />}
          />
        )}
        {list.hasNextPage && (
          <button type="button" disabled={list.isFetching} onClick={() => void list.fetchNextPage()}>
            Load more ({letters.length} of {count(g.count)})
          </button>
        )}
      </details>
    </section>
  );
}

function useLetters(g: DeadLetterGroup, status: DeadLetterStatus, enabled: boolean) {
  const { deadLetters } = useApi();
  const { source, payloadType, reason } = g;
  return useInfiniteQuery({
    queryKey: ["dead letters", status, source, payloadType, reason],
    queryFn: ({ pageParam, signal }) =>
      deadLetters.listDeadLetters({ status, source, payloadType, reason, pageSize, pageToken: pageParam }, { signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    enabled,
  });
}

function since(g: DeadLetterGroup): string {
  const [first, last] = [moment(g.oldestTime), moment(g.newestTime)];
  return first === last ? first : `from ${first} to ${last}`;
}

/** Chooses all of the group: those that are not loaded yet are read first. */
function ChooseAll({
  group,
  list,
  letters,
  chosen,
  choose,
}: {
  group: DeadLetterGroup;
  list: ReturnType<typeof useLetters>;
  letters: readonly DeadLetter[];
  chosen: ReadonlySet<bigint>;
  choose: Choose;
}) {
  const [busy, setBusy] = useState(false);
  const all = !list.hasNextPage && letters.every((l) => chosen.has(l.id));
  const change = async () => {
    const ids = letters.map((l) => l.id);
    if (all) return choose(ids, false);
    setBusy(true);
    choose(await readAll(list, ids), true);
    setBusy(false);
  };
  return (
    <input
      type="checkbox"
      aria-label={`Choose all: ${group.reason}`}
      checked={all}
      disabled={busy}
      onChange={() => void change()}
    />
  );
}

/** Reads the group to its end, or to the most that can be chosen, and returns the ids. */
async function readAll(list: ReturnType<typeof useLetters>, ids: bigint[]): Promise<bigint[]> {
  let more = list.hasNextPage;
  while (more && ids.length < chooseMax) {
    const read = await list.fetchNextPage();
    ids = read.data?.pages.flatMap((p) => p.letters.map((l) => l.id)) ?? ids;
    more = read.hasNextPage && !read.isError;
  }
  return ids;
}

function Letters({
  letters,
  chosen,
  choose,
  chooseAll,
}: {
  letters: readonly DeadLetter[];
  chosen: ReadonlySet<bigint>;
  choose?: Choose;
  chooseAll: React.ReactNode;
}) {
  return (
    <Scroll label={`Dead letters ${letters[0]?.id ?? ""} and alike`}>
      <table>
        <thead>
          <tr>
            {choose && <th scope="col">{chooseAll}</th>}
            <th scope="col">Id</th>
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
