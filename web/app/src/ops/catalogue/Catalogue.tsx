import { money } from "@spillway/client";
import { Link, useSearchParams } from "wouter";
import { useApi } from "../shell/api.tsx";
import { Failure, Page } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";
import { useProducts } from "./useProducts.ts";

/** The products, and those that are no longer sold. */
export function Catalogue() {
  const { session } = useApi();
  const [params, setParams] = useSearchParams();
  const archived = params.has("archived");
  const list = useProducts(archived);
  const products = list.data?.pages.flatMap((p) => p.products) ?? [];
  return (
    <Page
      title="Catalogue"
      actions={
        <>
          <label>
            <input
              type="checkbox"
              checked={archived}
              onChange={(e) => setParams(e.target.checked ? { archived: "" } : {})}
            />{" "}
            Archived too
          </label>
          {session.canChange && (
            <Link className="button primary" href="/catalogue/new">
              New product
            </Link>
          )}
        </>
      }
    >
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      <Scroll label="Products" card busy={list.isFetching}>
        <table>
          <thead>
            <tr>
              <th scope="col">SKU</th>
              <th scope="col">Name</th>
              <th scope="col">Categories</th>
              <th scope="col" className="number">
                Price
              </th>
              <th scope="col" className="number">
                A customer and day
              </th>
            </tr>
          </thead>
          <tbody>
            {products.map((p) => (
              <tr key={p.sku}>
                <th scope="row">
                  <Link href={`/catalogue/${p.sku}`}>
                    <code>{p.sku}</code>
                  </Link>
                </th>
                <td>
                  {p.name} {p.archived && <span className="pill">archived</span>}
                </td>
                <td>{p.categories.join(", ")}</td>
                <td className="number">{money(p.price, "en")}</td>
                <td className="number">{p.maxPerCustomer || "no limit"}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {list.isPending && <p className="muted">Loading …</p>}
        {list.hasNextPage && (
          <button type="button" disabled={list.isFetching} onClick={() => void list.fetchNextPage()}>
            Load more
          </button>
        )}
      </Scroll>
    </Page>
  );
}
