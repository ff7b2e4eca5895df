import { money } from "@spillway/client";
import type { Order } from "@spillway/client/gen/spillway/v1/order_pb";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "wouter";
import { useApi } from "../shell/api.tsx";
import { moment } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { PrivacyButton, Private } from "../shell/Private.tsx";
import { Scroll } from "../shell/Scroll.tsx";
import { FilterForm } from "./FilterForm.tsx";
import { filtersOf, paramsOf, requestOf } from "./filters.ts";
import { StatePill } from "./state.tsx";

const pageSize = 50;

/** All orders, newest first, narrowed by the filters in the address. */
export function Orders() {
  const [params, setParams] = useSearchParams();
  const filters = filtersOf(params);
  const { orders: api } = useApi();
  const list = useInfiniteQuery({
    queryKey: ["orders", paramsOf(filters).toString()],
    queryFn: ({ pageParam, signal }) => api.listOrders(requestOf(filters, pageSize, pageParam), { signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    placeholderData: keepPreviousData,
  });
  const found = list.data?.pages.flatMap((p) => p.orders) ?? [];
  return (
    <Page
      title="Orders"
      actions={
        <>
          <PrivacyButton />
          <button type="button" disabled={list.isFetching} onClick={() => void list.refetch()}>
            Reload
          </button>
        </>
      }
    >
      <FilterForm key={params.toString()} filters={filters} onSearch={(f) => setParams(paramsOf(f))} />
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      <div className="card" aria-busy={list.isFetching}>
        {list.isPending && <p className="muted">Loading …</p>}
        {list.data && found.length === 0 && <NoOrders order={filters.order} />}
        {found.length > 0 && <OrderTable orders={found} />}
        {list.hasNextPage && (
          <button type="button" disabled={list.isFetching} onClick={() => void list.fetchNextPage()}>
            Load more
          </button>
        )}
      </div>
    </Page>
  );
}

/** An order appears in the list once its row exists; its own page has it before. */
function NoOrders({ order }: { order: string }) {
  return (
    <p>
      No order is like that.{" "}
      {order && (
        <>
          One that was placed a moment ago may not be in the list yet:{" "}
          <Link href={`/orders/${encodeURIComponent(order)}`}>open {order}</Link>.
        </>
      )}
    </p>
  );
}

function OrderTable({ orders }: { orders: Order[] }) {
  return (
    <Scroll label="Orders">
      <table>
        <thead>
          <tr>
            <th scope="col">Order</th>
            <th scope="col">State</th>
            <th scope="col">Placed</th>
            <th scope="col">Customer</th>
            <th scope="col">E-mail</th>
            <th scope="col">Lines</th>
            <th scope="col" className="number">
              Total
            </th>
          </tr>
        </thead>
        <tbody>
          {orders.map((o) => (
            <tr key={o.id}>
              <th scope="row">
                <Link href={`/orders/${o.id}`}>
                  <code>{o.id}</code>
                </Link>
              </th>
              <td>
                <StatePill state={o.state} />
              </td>
              <td className="nowrap">{moment(o.createTime)}</td>
              <td>
                <Link href={`/orders?customer=${encodeURIComponent(o.customerId)}`} title={o.customerId}>
                  <code>{o.customerId.length > 18 ? `${o.customerId.slice(0, 16)}…` : o.customerId}</code>
                </Link>
              </td>
              <td>
                <Private text={o.email} />
              </td>
              <td>{o.lines.map((l) => `${l.quantity} × ${l.sku}`).join(", ")}</td>
              <td className="number">{money(o.total, "en")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
