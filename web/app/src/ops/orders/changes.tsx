import { money, moneyOf, toDecimal } from "@spillway/client";
import type { Order } from "@spillway/client/gen/spillway/v1/order_pb";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useApi } from "../shell/api.tsx";
import { Dialog, Field } from "../shell/Dialog.tsx";
import { freshKey } from "../shell/key.ts";

interface ChangeProps {
  order: Order;
  onClose: () => void;
  onDone: () => void;
}

/** Cancels an order for its customer: the stock goes back, and what was paid. */
export function CancelDialog({ order, onClose, onDone }: ChangeProps) {
  const { orders } = useApi();
  const [reason, setReason] = useState("");
  const cancel = useMutation({
    mutationFn: () => orders.cancelOrder({ orderId: order.id, reason }),
    onSuccess: onDone,
  });
  return (
    <Dialog
      title="Cancel this order?"
      action="Cancel the order"
      danger
      busy={cancel.isPending}
      error={cancel.error}
      onSubmit={() => cancel.mutate()}
      onClose={onClose}
    >
      <p>
        The units go back to stock, and {money(order.total, "en")} to the customer if that was paid. This cannot be
        undone.
      </p>
      <Field label="Why" hint="The customer reads it.">
        {(props) => (
          <input {...props} required maxLength={200} value={reason} onChange={(e) => setReason(e.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}

/** Refunds a part of an order, or all that is left of one that was shipped. */
export function RefundDialog({ order, onClose, onDone }: ChangeProps) {
  const { orders } = useApi();
  const currency = order.total?.currencyCode ?? "";
  const [amount, setAmount] = useState("");
  const [reason, setReason] = useState("");
  // One key for this dialog: a second click, or a retry, is the same refund.
  const [key] = useState(freshKey);
  const refund = useMutation({
    mutationFn: () =>
      orders.refundOrder({
        orderId: order.id,
        amount: amount.trim() ? moneyOf(currency, amount) : undefined,
        reason,
        idempotencyKey: key,
      }),
    onSuccess: onDone,
  });
  const wrong = wrongAmount(currency, amount);
  return (
    <Dialog
      title="Refund this order?"
      action="Refund"
      danger
      busy={refund.isPending}
      error={refund.error}
      onSubmit={() => !wrong && refund.mutate()}
      onClose={onClose}
    >
      <p>
        The order's total is {money(order.total, "en")}
        {order.refundedTotal && `, of which ${money(order.refundedTotal, "en")} are refunded`}
        {order.refundPendingTotal && `, and ${money(order.refundPendingTotal, "en")} under way`}. The goods stay with
        the customer.
      </p>
      <Field label={`Amount in ${currency}`} hint="Empty: all that is left." error={wrong}>
        {(props) => (
          <input
            {...props}
            inputMode="decimal"
            placeholder={order.total && toDecimal(order.total)}
            value={amount}
            onChange={(e) => setAmount(e.target.value)}
          />
        )}
      </Field>
      <Field label="Why" hint="Kept with the refund.">
        {(props) => (
          <input {...props} required maxLength={200} value={reason} onChange={(e) => setReason(e.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}

function wrongAmount(currency: string, amount: string): string | undefined {
  if (!amount.trim()) return undefined;
  try {
    const { units, nanos } = moneyOf(currency, amount);
    return units < 0n || nanos < 0 || (units === 0n && nanos === 0) ? "More than nothing." : undefined;
  } catch {
    return "A number such as 12.99.";
  }
}
