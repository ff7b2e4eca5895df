import type { Product } from "@spillway/client/gen/spillway/v1/catalog_pb";

/** The categories of the products, the fullest first. */
export function categoriesOf(products: readonly Pick<Product, "categories">[]): string[] {
  const counts = new Map<string, number>();
  for (const p of products) for (const c of p.categories) counts.set(c, (counts.get(c) ?? 0) + 1);
  return [...counts].sort(([a, n], [b, m]) => m - n || a.localeCompare(b)).map(([c]) => c);
}
