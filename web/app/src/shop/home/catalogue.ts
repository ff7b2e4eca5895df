import { useInfiniteQuery, useQuery } from "@connectrpc/connect-query";
import { CatalogService, ProductSort } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useSettings } from "../settings.js";

/** The products of a page; further pages come when they are asked for. */
const pageSize = 24;

/** Up to 100 products at once: those by which categories are found. */
const largestPage = 100;

export function useProducts(category = "", sort = ProductSort.UNSPECIFIED) {
  const { currency } = useSettings();
  return useInfiniteQuery(
    CatalogService.method.listProducts,
    { pageSize, currencyCode: currency, pageToken: "", category, sort },
    { pageParamKey: "pageToken", getNextPageParam: (last) => last.nextPageToken || undefined },
  );
}

export function useSearch(query: string) {
  const { currency } = useSettings();
  return useInfiniteQuery(
    CatalogService.method.searchProducts,
    { query, pageSize, currencyCode: currency, pageToken: "" },
    {
      pageParamKey: "pageToken",
      getNextPageParam: (last) => last.nextPageToken || undefined,
      enabled: query !== "",
    },
  );
}

export function useManyProducts() {
  const { currency } = useSettings();
  return useQuery(CatalogService.method.listProducts, { pageSize: largestPage, currencyCode: currency });
}

/** Some products that are in stock. */
export function useInStock(count: number) {
  const { currency } = useSettings();
  return useQuery(CatalogService.method.listProducts, { pageSize: count, currencyCode: currency, inStock: true });
}
