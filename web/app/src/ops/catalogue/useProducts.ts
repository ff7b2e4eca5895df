import { useInfiniteQuery } from "@tanstack/react-query";
import { useApi } from "../shell/api.tsx";

const pageSize = 100;

/** The whole catalogue, archived products too if they are wanted, by pages. */
export function useProducts(includeArchived: boolean) {
  const { catalog } = useApi();
  return useInfiniteQuery({
    queryKey: ["products", includeArchived],
    queryFn: ({ pageParam, signal }) =>
      catalog.listProducts({ pageSize, pageToken: pageParam, includeArchived }, { signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
}
