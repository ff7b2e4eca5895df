import type { Product } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useProducts } from "../catalogue/useProducts.ts";
import { useApi } from "../shell/api.tsx";
import { count } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";
import { AdjustDialog } from "./AdjustDialog.tsx";

/** How many units of each product can be bought now. */
export function Stock() {
  const { session } = useApi();
  const client = useQueryClient();
  const list = useProducts(true);
  const [adjusted, adjust] = useState<Product>();
  const [words, setWords] = useState("");
  const all = list.data?.pages.flatMap((p) => p.products) ?? [];
  const wanted = words.trim().toLowerCase();
  const found = all.filter((p) => `${p.sku} ${p.name}`.toLowerCase().includes(wanted));
  const done = () => {
    adjust(undefined);
    void client.invalidateQueries({ queryKey: ["products"] });
  };
  return (
    <Page
      title="Stock"
      actions={
        <>
          <input
            type="search"
            aria-label="Filter by SKU or name"
            placeholder="SKU or name"
            value={words}
            onChange={(e) => setWords(e.target.value)}
          />
          <button type="button" disabled={list.isFetching} onClick={() => void list.refetch()}>
            Reload
          </button>
        </>
      }
    >
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      <Scroll label="Stock" card busy={list.isFetching}>
        <table>
          <thead>
            <tr>
              <th scope="col">SKU</th>
              <th scope="col">Name</th>
              <th scope="col" className="number">
                Available
              </th>
              {session.canChange && (
                <th scope="col">
                  <span className="hidden">Change</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {found.map((p) => (
              <tr key={p.sku}>
                <th scope="row">
                  <code>{p.sku}</code>
                </th>
                <td>
                  <Link href={`/catalogue/${p.sku}`}>{p.name}</Link>{" "}
                  {p.archived && <span className="pill">archived</span>}
                </td>
                <td className="number">
                  {p.available === 0n ? <span className="pill bad">sold out</span> : count(p.available)}
                </td>
                {session.canChange && (
                  <td className="number">
                    <button type="button" aria-label={`Adjust the stock of ${p.sku}`} onClick={() => adjust(p)}>
                      Adjust …
                    </button>
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
        {list.isPending && <p className="muted">Loading …</p>}
        {list.data && found.length === 0 && <p>No product is like that.</p>}
        {list.hasNextPage && (
          <button type="button" disabled={list.isFetching} onClick={() => void list.fetchNextPage()}>
            Load more
          </button>
        )}
      </Scroll>
      {adjusted && <AdjustDialog product={adjusted} onClose={() => adjust(undefined)} onDone={done} />}
    </Page>
  );
}
