import { useInfiniteQuery } from "@connectrpc/connect-query";
import { formatTime, money } from "@spillway/client";
import { OrderService, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { Link } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { hasSession } from "../api.js";
import { useLocale } from "../settings.js";

export default function Orders() {
  const { t } = useTranslation();
  useTitle(t("nav.orders"));
  const locale = useLocale();
  const list = useInfiniteQuery(
    OrderService.method.listOrders,
    { pageSize: 20, pageToken: "" },
    {
      pageParamKey: "pageToken",
      getNextPageParam: (last) => last.nextPageToken || undefined,
      enabled: hasSession(),
      staleTime: 0,
    },
  );
  const orders = list.data?.pages.flatMap((p) => p.orders) ?? [];
  return (
    <>
      <h1>{t("nav.orders")}</h1>
      {hasSession() && list.isPending && <Loading />}
      {list.error && <ErrorNotice error={list.error} retry={() => void list.refetch()} />}
      {!list.error && orders.length === 0 && (!hasSession() || list.data) && (
        <>
          <p>{t("orders.none")}</p>
          <Link className="button" href="/">
            {t("lost.home")}
          </Link>
        </>
      )}
      <ul className="items">
        {orders.map((o) => (
          <li key={o.id}>
            <Link className="card order" href={`/orders/${o.id}`}>
              <span className="name">{o.lines.map((l) => `${l.quantity} × ${l.name}`).join(", ")}</span>
              <span className={`tag ${o.state === OrderState.CANCELLED ? "bad" : "good"}`}>
                {t(`state.${OrderState[o.state]}`)}
              </span>
              <time className="small">{formatTime(o.createTime, locale)}</time>
              <span className="price">{money(o.total, locale)}</span>
            </Link>
          </li>
        ))}
      </ul>
      {list.hasNextPage && (
        <button type="button" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          {t("more")}
        </button>
      )}
      <p className="small">{t("orders.soon")}</p>
    </>
  );
}
