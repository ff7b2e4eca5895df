import { useQuery } from "@tanstack/react-query";

/** What the server tells its pages. */
export interface Settings {
  /** Where a trace is found, with {trace} in place of its id. */
  traceUrl?: string;
  /** The server sends loads to itself, for development. */
  loadLab?: boolean;
}

export function useSettings(): Settings {
  const { data } = useQuery({
    queryKey: ["settings"],
    queryFn: async ({ signal }): Promise<Settings> => (await fetch("/shop.json", { signal })).json(),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return data ?? {};
}

/** The address of a trace; undefined if it is not known where traces are. */
export function traceLink(traceUrl: string | undefined, traceId: string): string | undefined {
  if (!traceId || !traceUrl || !/^https?:\/\//.test(traceUrl)) return undefined;
  return traceUrl.replaceAll("{trace}", encodeURIComponent(traceId));
}
