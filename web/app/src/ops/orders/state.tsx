import { OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { words } from "../shell/format.ts";

const TONES: Record<OrderState, string> = {
  [OrderState.UNSPECIFIED]: "",
  [OrderState.PENDING]: "warn",
  [OrderState.PAID]: "",
  [OrderState.SHIPPED]: "good",
  [OrderState.SHIP_FAILED]: "bad",
  [OrderState.CANCELLED]: "",
};

export function StatePill({ state }: { state: OrderState }) {
  return <span className={`pill ${TONES[state] ?? ""}`}>{words(OrderState[state])}</span>;
}
