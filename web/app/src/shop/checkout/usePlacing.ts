import { type Placed, type Problem, problemOf, type Wait } from "@spillway/client";
import { useCallback, useEffect, useRef, useState } from "react";
import { shop } from "../api.js";
import { queries } from "../query.js";

type Request = Parameters<typeof shop.placing.place>[1];

export type Placing =
  | { is: "idle" }
  | { is: "sending" }
  /** Refused for now; the same key is sent again when the time is over. */
  | { is: "waiting"; untilMs: number; attempt: number; problem: Problem }
  | { is: "placed"; orderId: string }
  /** There is no order, for a reason that stays. */
  | { is: "refused"; problem: Problem }
  /** The attempts are over, and it is not known whether there is an order: the same key can be sent again. */
  | { is: "unclear"; problem: Problem };

/** Places orders of one scope, and shows what happens. After a reload it finds out what became of the request under way. */
export function usePlacing(scope: string) {
  const [state, setState] = useState<Placing>({ is: "idle" });
  const sinceMs = useRef(Date.now());

  const follow = useCallback(
    async (call: (onWait: (w: Wait) => void) => Promise<Placed | undefined>) => {
      setState({ is: "sending" });
      try {
        const placed = await call(({ attempt, delayMs, problem }) =>
          setState({ is: "waiting", untilMs: Date.now() + delayMs, attempt, problem }),
        );
        setState(placed ? { is: "placed", orderId: placed.orderId } : { is: "idle" });
        void queries.invalidateQueries();
      } catch (error) {
        const problem = problemOf(error);
        setState({ is: shop.placing.keys.open(scope) ? "unclear" : "refused", problem });
        void queries.invalidateQueries();
      }
    },
    [scope],
  );

  const place = useCallback(
    (request: Request) => follow((onWait) => shop.placing.place(scope, request, { onWait, sinceMs: sinceMs.current })),
    [scope, follow],
  );
  const resume = useCallback(() => follow((onWait) => shop.placing.resume(scope, { onWait })), [scope, follow]);

  useEffect(() => {
    if (shop.placing.keys.open(scope)) void resume();
  }, [scope, resume]);

  /** Forgets what was bought, for the next purchase of the scope. */
  const again = useCallback(() => {
    sinceMs.current = Date.now() + 1;
    setState({ is: "idle" });
  }, []);
  return { state, place, resume, again };
}
