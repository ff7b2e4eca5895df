import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { it } from "vitest";
import { buyNow, fillIn, notice, sharedShop, shows, visits } from "../browser.ts";
import { root } from "../shop.ts";

const shop = sharedShop();
const { visit, open } = visits(shop);
/** The README's pictures. */
const folder = path.join(root, "docs/pictures");
mkdirSync(folder, { recursive: true });
const look = { colorScheme: "light", viewport: { width: 1100, height: 720 } } as const;
const take = (page: Page, name: string) => page.screenshot({ path: path.join(folder, `${name}.png`) });

it("the shop, a sale and an order", async () => {
  const page = await visit("/", look);
  await page.locator(".grid li").first().waitFor();
  await page.waitForLoadState("networkidle");
  await take(page, "shop");
  // A sale with a past: the page has seen more units than are left.
  const sku = "1YMWWN1N4O";
  await shop.leave(sku, 40);
  await page.goto(`/sale/${sku}`);
  await fillIn(page);
  await page.getByText("40 in stock").waitFor();
  await shop.leave(sku, 7);
  await page.getByText("7 in stock").waitFor();
  await page.evaluate(() => {
    scrollTo(0, 0);
    (document.activeElement as HTMLElement | null)?.blur();
  });
  await take(page, "sale");
  await buyNow(page).click();
  await notice(page, "good").getByRole("link").first().click();
  await shows(page, "SHIPPED");
  await take(page, "order");
});

it("the console during a load", async () => {
  const page = await open(shop.link, look);
  await page.getByRole("link", { name: "Load lab" }).click();
  await page.getByLabel("Scenario").selectOption("uniform");
  await page.getByLabel("Arrivals a second").fill("60");
  await page.getByLabel("For how many seconds").fill("30");
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByText(/^Running: /).waitFor();
  await page.getByRole("link", { name: "Flow" }).click();
  await page.getByRole("button", { name: /^Accept [2-9]\d/ }).waitFor();
  await page.getByRole("button", { name: /^Ship [1-9]/ }).waitFor();
  // Some seconds for the plot.
  await page.waitForTimeout(8_000);
  await take(page, "console");
});
