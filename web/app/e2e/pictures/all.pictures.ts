import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { buyNow, fillIn, notice, sharedShop, shows, visits } from "../browser.ts";
import { bouncing } from "../mails.ts";
import { patienceMs } from "../shop.ts";

const shop = sharedShop();
const { visit, open } = visits(shop);
/** Every page, for people who want to see what a change does to them. */
const folder = process.env.SPILLWAY_PICTURES ?? path.join(tmpdir(), "spillway-pictures");
mkdirSync(folder, { recursive: true });
const mug = "6E92ZMYYFZ";
const looks = [
  { colorScheme: "light", locale: "en", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", locale: "zh-CN", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", locale: "en", viewport: { width: 360, height: 740 } },
  { colorScheme: "light", locale: "zh-CN", viewport: { width: 360, height: 740 } },
] as const;

const album = (page: Page, look: (typeof looks)[number]) => (name: string) =>
  page.screenshot({
    path: path.join(folder, `${name}-${look.colorScheme}-${look.locale}-${look.viewport.width}.png`),
    fullPage: true,
  });

it.each(looks)("the shop, in $colorScheme and $locale, $viewport.width px wide", async (look) => {
  const page = await visit("/", { ...look });
  const take = album(page, look);
  await page.locator(".grid li").first().waitFor();
  await page.waitForLoadState("networkidle");
  await take("shop-1-home");
  for (const [name, address, ready] of [
    ["2-search", "/search?q=mug", ".grid li"],
    ["2-search-none", "/search?q=nothing", ".chips a"],
    ["3-category", "/category/kitchen", ".grid li"],
    ["4-product", `/product/${mug}`, "button.primary"],
    ["4-product-missing", "/product/nothing", ".notice.bad"],
    ["5-cart-empty", "/cart", "main .button"],
    ["9-order-missing", "/orders/06H2D9KNM403TEF41J7GVHHJ98", ".notice.bad"],
  ] as const) {
    await page.goto(address);
    await page.locator(ready).first().waitFor();
    await page.waitForLoadState("networkidle");
    await take(`shop-${name}`);
  }
  await page.goto(`/product/${mug}`);
  await page.locator("button.primary").click();
  await notice(page, "good").waitFor();
  await take("shop-4-product-added");
  await page.goto("/cart");
  await page.locator(".summary").waitFor();
  await page.waitForLoadState("networkidle");
  await take("shop-5-cart");
  await page.goto("/checkout");
  await page.locator(".testcards summary").click();
  await page.locator(".summary").waitFor();
  await take("shop-6-checkout");
  await page.locator("form .primary.wide").click();
  await page.locator(".fielderror").first().waitFor();
  await take("shop-6-checkout-errors");
  await fillIn(page, "4000 0000 0000 0002");
  await page.locator("form .primary.wide").click();
  await notice(page, "bad").waitFor();
  await take("shop-6-checkout-declined");
  const sku = await shop.product(3, "Night Lamp");
  await shop.beginSale(sku, new Date("2099-01-01T00:00:00Z"));
  await page.goto(`/sale/${sku}`);
  await page.locator(".countdown").waitFor();
  await take("shop-7-sale-to-come");
  await shop.beginSale(sku);
  await page.goto(`/sale/${sku}`);
  await fillIn(page);
  await take("shop-7-sale");
  await page.route(/PlaceOrder/, (route) =>
    route.fulfill({ status: 429, json: { code: "resource_exhausted", message: "busy" } }),
  );
  await buyNow(page).click();
  await notice(page, "warn").waitFor();
  await take("shop-7-sale-busy");
  await page.unroute(/PlaceOrder/);
  await notice(page, "good").waitFor();
  await take("shop-7-sale-bought");
  await notice(page, "good").getByRole("link").first().click();
  await shows(page, "SHIPPED");
  await take("shop-8-order-shipped");
  await shop.leave(sku, 0);
  await page.goto(`/sale/${sku}`);
  await page.locator(".grid li").first().waitFor();
  await page.waitForLoadState("networkidle");
  await take("shop-7-sale-sold-out");
  await page.goto(`/sale/${await shop.product(20)}`);
  await fillIn(page);
  await page.locator("input[name=pay]").last().check();
  await buyNow(page).click();
  await page.locator(".notice h2").waitFor();
  await take("shop-7-sale-reserved");
  await page.locator(".notice").getByRole("link").first().click();
  await page.locator("input[autocomplete=cc-number]").waitFor();
  await take("shop-8-order-pending");
  await page.locator("main .timeline ~ button, section ~ button").first().click();
  await take("shop-8-order-cancel");
  await page.locator("dialog .danger").click();
  await shows(page, "CANCELLED");
  await take("shop-8-order-cancelled");
  await page.goto("/orders");
  await page.locator(".order").first().waitFor();
  await take("shop-9-orders");
});

it.each(looks.filter((look) => look.locale === "en" || look.viewport.width === 1280))(
  "the console, in $colorScheme, $viewport.width px wide",
  async (look) => {
    const sku = await shop.product(50);
    const order = await shop.buy(sku, bouncing);
    const letters = async () => (await shop.deadLetters.listDeadLetters({ orderId: order })).letters;
    await expect.poll(async () => (await letters()).length, { timeout: patienceMs }).toBeGreaterThan(0);
    const letter = (await letters())[0]?.id;
    const login = await visit("/ops", { ...look });
    await login.getByRole("heading", { name: "Spillway console" }).waitFor();
    await album(login, look)("ops-0-login");
    const page = await open(shop.link, { ...look });
    const take = album(page, look);
    await page.getByText("live", { exact: true }).waitFor();
    for (let i = 0; i < 10; i++) await shop.buy(sku);
    await page.getByRole("button", { name: /^Accept [1-9]/ }).waitFor();
    await take("ops-1-flow");
    for (const [name, address, click] of [
      ["2-orders", "orders"],
      ["3-order", `orders/${order}`],
      ["3-order-refund", `orders/${order}`, "Refund …"],
      ["3-order-missing", "orders/nonsense"],
      ["4-dead-letters", "dead-letters"],
      ["5-dead-letter", `dead-letters/${letter}`, "Show personal data"],
      ["5-dead-letter-edit", `dead-letters/${letter}`, "Edit"],
      ["5-dead-letter-replay", `dead-letters/${letter}`, "Replay …"],
      ["6-stock", "stock"],
      ["6-stock-adjust", "stock", `Adjust the stock of ${sku}`],
      ["7-catalogue", "catalogue"],
      ["7-product", `catalogue/${mug}`],
      ["7-product-new", "catalogue/new", "Create"],
      ["8-books", "books"],
      ["9-lab", "lab"],
    ] as const) {
      await page.goto(`${shop.url}/ops/${address}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.getByText("Loading …").first().waitFor({ state: "detached" });
      await page.getByText("The audit reads every order …").waitFor({ state: "detached" });
      await page.waitForTimeout(300);
      if (click) await page.getByRole("button", { name: click }).click();
      await take(`ops-${name}`);
    }
    await page.getByLabel("For how many seconds").fill("6");
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByText("Every accepted order was found").waitFor({ timeout: 2 * patienceMs });
    await take("ops-9-lab-done");
  },
);
