import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useApi } from "../shell/api.tsx";
import { callLab, type Figures, type LabState, type Load, ratesOf } from "./labApi.ts";

const intervalMs = 1_000;
const idleMs = 5_000;

/** The rates of a load over its time, oldest first. */
export type History = { accepted: number[]; soldOut: number[]; shed: number[] };

const none: History = { accepted: [], soldOut: [], shed: [] };
/** A load of the lab takes two minutes at most. */
const historyMax = 180;

/** Follows the load lab, and starts and stops its loads. */
export function useLab() {
  const { token } = useApi().session;
  const client = useQueryClient();
  const read = useQuery({
    queryKey: ["lab"],
    queryFn: ({ signal }) => callLab(token, "GET", undefined, signal),
    refetchInterval: (q) => (q.state.data?.running ? intervalMs : idleMs),
  });
  const onSuccess = async (state: LabState) => {
    // The response to an earlier read would undo what this one shows.
    await client.cancelQueries({ queryKey: ["lab"] });
    client.setQueryData(["lab"], state);
  };
  const start = useMutation({ mutationFn: (load: Load) => callLab(token, "POST", load), onSuccess });
  const stop = useMutation({ mutationFn: () => callLab(token, "DELETE"), onSuccess });
  return {
    state: read.data,
    error: read.error ?? start.error ?? stop.error,
    start,
    stop,
    history: useHistory(read.data?.figures),
  };
}

function useHistory(figures: Figures | undefined): History {
  const [seen, setSeen] = useState<{ last?: Figures; history: History }>({ history: none });
  useEffect(() => {
    if (!figures) return;
    setSeen(({ last, history }) => {
      // A new load begins anew.
      const again = last && figures.seconds < last.seconds;
      const before = again ? undefined : last;
      const rates = ratesOf(before, figures);
      if (!rates) return { last: figures, history };
      const h = again ? none : history;
      const add = (list: number[], v: number) => [...list, v].slice(-historyMax);
      return {
        last: figures,
        history: {
          accepted: add(h.accepted, rates.accepted),
          soldOut: add(h.soldOut, rates.soldOut),
          shed: add(h.shed, rates.shed),
        },
      };
    });
  }, [figures]);
  return seen.history;
}
