import { formatTime, money, problemOf, retrying, toDate } from "@spillway/client";
import { type Order as OrderMessage, OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import type { ChargeState } from "@spillway/client/gen/spillway/v1/payment_pb";
import { useMutation } from "@tanstack/react-query";
import { lazy, Suspense, useRef } from "react";
import { Link, useParams } from "wouter";
import { useTranslation } from "../../i18n/index.js";
import { ErrorNotice } from "../../ui/Notice.js";
import { useTitle } from "../../ui/useTitle.js";
import { Loading } from "../App.js";
import { shop } from "../api.js";
import { Summary } from "../checkout/Summary.js";
import { queries } from "../query.js";
import { useLocale } from "../settings.js";
import { canCancel, cancelText, latest, stepsOf } from "./steps.js";
import { useOrder } from "./useOrder.js";

// The form for a card comes with the rules that it checks.
const PayForm = lazy(() => import("./PayForm.js"));

export default function Order() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  useTitle(t("order.title"));
  const { order, charge, wait, error, again, set } = useOrder(id);
  return (
    <>
      <h1>{t("order.title")}</h1>
      <p className="small">
        <code>{id}</code>
      </p>
      {wait && (
        <p className="notice warn" role="status">
          {t("order.reconnecting")}
        </p>
      )}
      {error !== undefined && (
        <ErrorNotice error={error} retry={problemOf(error).reason === "ORDER_NOT_FOUND" ? undefined : again}>
          <Link href="/orders">{t("nav.orders")}</Link>
        </ErrorNotice>
      )}
      {!order && error === undefined && <Loading />}
      {order && <Shown order={order} charge={charge} set={set} />}
    </>
  );
}

interface ShownProps {
  order: OrderMessage;
  charge?: ChargeState;
  set: (order?: OrderMessage) => void;
}

function Shown({ order, charge, set }: ShownProps) {
  const { t } = useTranslation();
  const pending = order.state === OrderState.PENDING;
  return (
    <div className="columns">
      <div>
        <Timeline order={order} charge={charge} />
        {pending && !order.expireTime && <p className="notice">{t("order.unknown")}</p>}
        {pending && order.expireTime && (
          <Suspense fallback={<Loading />}>
            <PayForm order={order} paid={set} />
          </Suspense>
        )}
        {canCancel(order.state) && <Cancel order={order} cancelled={set} />}
        <p className="onward">
          <Link href="/orders">{t("nav.orders")}</Link> · <Link href="/">{t("lost.home")}</Link>
        </p>
      </div>
      <aside>
        <Summary quote={order} />
        <Parcel order={order} />
      </aside>
    </div>
  );
}

function Timeline({ order, charge }: Omit<ShownProps, "set">) {
  const { t } = useTranslation();
  const locale = useLocale();
  const steps = stepsOf(order, charge);
  const refund = order.refundPendingTotal ?? order.refundedTotal ?? order.total;
  return (
    <section aria-live="polite">
      <h2>{t(`state.${OrderState[order.state]}`)}</h2>
      {order.state === OrderState.CANCELLED && <p>{t([cancelText(order.cancelCode), "cancelCode.UNSPECIFIED"])}</p>}
      <ol className="timeline" data-state={OrderState[order.state]}>
        {steps.map((step, i) => (
          <li key={step.name} className={step.is} aria-current={step.is === "now" ? "step" : undefined}>
            <span>{t(`step.${step.name}`, { amount: money(refund, locale) })}</span>
            {step.name === "placed" && <time>{formatTime(order.createTime, locale)}</time>}
            {i > 0 && i === latest(steps) && <time>{formatTime(order.updateTime, locale)}</time>}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Parcel({ order }: { order: OrderMessage }) {
  const { t } = useTranslation();
  const a = order.shippingAddress;
  return (
    <section className="card">
      <h2>{t("order.parcel")}</h2>
      <address>
        {[a?.name, a?.street, `${a?.postalCode} ${a?.city}`, a?.region, a?.countryCode].filter(Boolean).map((line) => (
          <span key={line}>{line}</span>
        ))}
      </address>
      <p className="small">
        {order.email}
        {order.state === OrderState.SHIPPED && (
          <>
            <br />
            {t("order.tracking")} <code>{order.trackingId}</code>
          </>
        )}
      </p>
    </section>
  );
}

/** Cancels after a question. The dialog keeps the keyboard inside while it is open. */
function Cancel({ order, cancelled }: { order: OrderMessage; cancelled: (order?: OrderMessage) => void }) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  const cancel = useMutation({
    mutationFn: () => retrying(() => shop.orders.cancelOrder({ orderId: order.id })),
    onSuccess: ({ order }) => cancelled(order),
    onSettled: () => void queries.invalidateQueries(),
  });
  return (
    <>
      <button type="button" disabled={cancel.isPending} onClick={() => dialog.current?.showModal()}>
        {t("order.cancel")}
      </button>
      {cancel.error && <ErrorNotice error={cancel.error} retry={() => cancel.mutate()} />}
      <dialog ref={dialog} aria-labelledby="cancel-title">
        <h2 id="cancel-title">{t("order.cancelTitle")}</h2>
        <p>{t(order.state === OrderState.PENDING ? "order.cancelUnpaid" : "order.cancelPaid")}</p>
        <form method="dialog" className="row">
          <button type="submit">{t("order.keep")}</button>
          <button type="submit" className="danger" onClick={() => cancel.mutate()}>
            {t("order.cancelYes")}
          </button>
        </form>
      </dialog>
    </>
  );
}

/** When the order was placed, for lists. */
export const placedAt = (order: OrderMessage) => toDate(order.createTime);
