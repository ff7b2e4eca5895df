import { useQuery } from "@connectrpc/connect-query";
import { CatalogService } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useSettings } from "../settings.js";

/** How often the stock is read while the page is visible. */
const stockIntervalMs = 2_000;

/** A product with live stock. */
export function useProduct(sku: string, intervalMs: number | false = stockIntervalMs) {
  const { currency } = useSettings();
  return useQuery(
    CatalogService.method.getProduct,
    { sku, currencyCode: currency },
    { refetchInterval: intervalMs, enabled: sku !== "" },
  );
}
