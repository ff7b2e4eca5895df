import type { StockBalance } from "@spillway/client/gen/spillway/v1/audit_pb";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { useApi } from "../shell/api.tsx";
import { count } from "../shell/format.ts";
import { Failure } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";

const pageSize = 100;

const COLUMNS: { name: string; of: (b: StockBalance) => bigint }[] = [
  { name: "Initial", of: (b) => b.initial },
  { name: "+ restocked", of: (b) => b.restocked },
  { name: "= on hand", of: (b) => b.onHand },
  { name: "+ held", of: (b) => b.held },
  { name: "+ sold", of: (b) => b.sold },
  { name: "+ returning", of: (b) => b.returning },
  { name: "+ difference", of: (b) => b.difference },
];

/** The units of each SKU: red where they do not add up. The orders that are to blame are among the audit's findings. */
export function Balances({ intervalMs, inFlight }: { intervalMs: number | false; inFlight: boolean }) {
  const { audit } = useApi();
  const list = useInfiniteQuery({
    queryKey: ["balances"],
    queryFn: ({ pageParam, signal }) => audit.listBalances({ pageSize, pageToken: pageParam }, { signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    refetchInterval: intervalMs,
  });
  const balances = list.data?.pages.flatMap((p) => p.balances) ?? [];
  return (
    <Scroll label="Units of each SKU" card>
      <h2>Units of each SKU</h2>
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      <table>
        <thead>
          <tr>
            <th scope="col">SKU</th>
            <th scope="col">Name</th>
            {COLUMNS.map((c) => (
              <th scope="col" className="number" key={c.name}>
                {c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {balances.map((b) => (
            // While orders are in flight, their units are booked and their rows not written yet.
            <tr key={b.sku} className={b.difference !== 0n && !inFlight ? "bad" : undefined}>
              <th scope="row">
                <Link href={`/orders?sku=${encodeURIComponent(b.sku)}`}>
                  <code>{b.sku}</code>
                </Link>
              </th>
              <td>{b.name}</td>
              {COLUMNS.map((c) => (
                <td className="number" key={c.name}>
                  {count(c.of(b))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {list.hasNextPage && (
        <button type="button" disabled={list.isFetching} onClick={() => void list.fetchNextPage()}>
          Load more
        </button>
      )}
    </Scroll>
  );
}
