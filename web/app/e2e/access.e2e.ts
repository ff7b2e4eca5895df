import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { customer, fillIn, Shop, shows, startBrowser } from "./shop.ts";

const mug = "6E92ZMYYFZ";
let shop: Shop;
let browser: Browser;

beforeAll(async () => {
  [shop, browser] = await Promise.all([Shop.start(), startBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await shop?.stop();
});

/** What axe finds on the page, in words. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
  return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" | ")}`);
}

/** Whether something is wider than the page. */
const isTooWide = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

describe.each([
  { colorScheme: "light", width: 1100, locale: "en" },
  { colorScheme: "dark", width: 360, locale: "zh-CN" },
] as const)("in $colorScheme, $width px wide, in $locale", ({ colorScheme, width, locale }) => {
  it("each page is accessible and fits", async () => {
    const { page, errors, context } = await customer(browser, shop, {
      colorScheme,
      locale,
      viewport: { width, height: 740 },
      reducedMotion: "reduce",
    });
    const check = async (name: string, ready: string) => {
      await page.locator(ready).first().waitFor();
      expect(await violations(page), name).toEqual([]);
      expect(await isTooWide(page), `${name} is too wide`).toBe(false);
    };
    for (const [path, ready] of [
      ["/", ".grid li"],
      ["/search?q=mug", ".grid li"],
      ["/search?q=nothing", ".chips a"],
      ["/category/kitchen", ".grid li"],
      ["/cart", "main .button"],
      ["/orders", "main .button"],
      ["/nothing", "main .button"],
      ["/orders/06H2D9KNM403TEF41J7GVHHJ98", ".notice.bad"],
      [`/product/${mug}`, "button.primary"],
    ] as const) {
      await page.goto(path);
      await check(path, ready);
    }
    await page.locator("button.primary").click();
    await check("product in the cart", ".notice.good");
    await page.goto("/cart");
    await check("cart", ".summary");
    await page.goto("/checkout");
    await page.locator(".testcards summary").click();
    await page.locator(".summary").waitFor();
    await page.locator("form .primary.wide").click();
    await check("checkout with errors", ".fielderror");
    await fillIn(page);
    await page.locator("form .primary.wide").click();
    await shows(page, "SHIPPED");
    await check("order", ".timeline");
    await page.goto("/orders");
    await check("orders", ".order");
    await shop.beginSale(mug, new Date("2099-01-01T00:00:00Z"));
    await page.goto(`/sale/${mug}`);
    await check("sale to come", ".countdown");
    await shop.beginSale(mug);
    await page.goto(`/sale/${mug}`);
    await fillIn(page);
    await page.locator("button.big").click();
    await check("sale bought", ".notice.good");
    expect(errors).toEqual([]);
    await context.close();
  });
});
