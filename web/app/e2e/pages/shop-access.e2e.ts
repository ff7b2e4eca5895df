import type { Page } from "playwright-core";
import { it } from "vitest";
import { buyNow, expectAccessible, expectFits, fillIn, notice, sharedShop, shows, visits } from "../browser.ts";

const shop = sharedShop();
const { visit } = visits(shop);
const mug = "6E92ZMYYFZ";

const looks = [
  { colorScheme: "light", locale: "en", viewport: { width: 1100, height: 740 } },
  { colorScheme: "dark", locale: "zh-CN", viewport: { width: 360, height: 740 } },
] as const;

// Wide and light, narrow and dark, and in both languages.
it.each([
  ["browse", browse],
  ["check out", checkout],
  ["follow orders", orders],
  ["buy in a sale", sales],
])("the pages on which customers %s are accessible and fit", async (_, walk) => {
  await Promise.all(
    looks.map(async (look) => {
      const page = await visit("/", { ...look });
      await walk(page, async (name, ready) => {
        await page.locator(ready).first().waitFor();
        await page.setViewportSize({ width: 360, height: 740 });
        await expectFits(page, name);
        await page.setViewportSize(look.viewport);
        await expectAccessible(page, `${name}, ${look.colorScheme}`);
      });
    }),
  );
});

type Check = (name: string, ready: string) => Promise<void>;

async function browse(page: Page, check: Check) {
  const soldOut = await shop.product(0);
  for (const [path, ready] of [
    ["/", ".grid li"],
    ["/search?q=mug", ".grid li"],
    ["/search?q=nothing", ".chips a"],
    ["/category/kitchen", ".grid li"],
    ["/cart", "main .button"],
    ["/orders", "main .button"],
    ["/nothing", "main .button"],
    ["/orders/06H2D9KNM403TEF41J7GVHHJ98", ".notice.bad"],
    ["/product/nothing", ".notice.bad"],
    [`/product/${soldOut}`, ".stock.bad"],
    [`/product/${mug}`, "button.primary"],
  ] as const) {
    await page.goto(path);
    await check(path, ready);
  }
}

async function checkout(page: Page, check: Check) {
  const sku = await shop.product(2);
  await page.goto(`/product/${sku}`);
  await page.locator("button.primary").click();
  await check("product in the cart", ".notice.good");
  await page.goto("/cart");
  await check("cart", ".summary");
  await page.goto("/checkout");
  await page.locator(".testcards summary").click();
  await page.locator(".summary").waitFor();
  await page.locator("form .primary.wide").click();
  await check("checkout with errors", ".fielderror");
  await fillIn(page, "4000 0000 0000 0002");
  await page.locator("form .primary.wide").click();
  await check("checkout with a declined card", ".notice.bad");
  await fillIn(page);
  await shop.leave(sku, 0);
  await page.locator("form .primary.wide").click();
  await check("checkout of what is sold out", ".notice.bad li");
  await page.goto("/cart");
  await check("cart with what is sold out", ".summary");
}

async function orders(page: Page, check: Check) {
  await page.goto(`/sale/${await shop.product(5)}`);
  await fillIn(page);
  await page.locator("input[name=pay]").last().check();
  await buyNow(page).click();
  await check("sale reserved", ".notice h2");
  await notice(page, "warn").getByRole("link").first().click();
  await check("order to be paid", "input[autocomplete=cc-number]");
  await page.locator("section ~ button").click();
  await check("order to be cancelled", "dialog[open]");
  await page.goto("/orders");
  await check("orders", ".order");
}

async function sales(page: Page, check: Check) {
  const sku = await shop.product(1);
  await shop.beginSale(sku, new Date("2099-01-01T00:00:00Z"));
  await page.goto(`/sale/${sku}`);
  await check("sale to come", ".countdown");
  await shop.beginSale(sku);
  await page.goto(`/sale/${sku}`);
  await fillIn(page);
  await page.route(/PlaceOrder/, (route) =>
    route.fulfill({ status: 429, json: { code: "resource_exhausted", message: "busy" } }),
  );
  await buyNow(page).click();
  await check("sale while the shop is busy", ".notice.warn");
  await page.unroute(/PlaceOrder/);
  await check("sale bought", ".notice.good");
  await notice(page, "good").getByRole("link").first().click();
  await shows(page, "SHIPPED");
  await check("order shipped", ".timeline");
  await page.goto(`/sale/${sku}`);
  await check("sale sold out", "h1");
}
