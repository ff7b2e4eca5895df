import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { expectAccessible, expectFits, sharedShop, visits } from "../browser.ts";
import { bouncing } from "../mails.ts";
import { patienceMs } from "../shop.ts";

const shop = sharedShop();
const { visit, open } = visits(shop);

/** Pages, and what makes a dialog or a form appear on them. */
const pagesOf = (sku: string, order: string, letter: bigint): [path: string, ...clicks: string[]][] => [
  ["orders"],
  [`orders/${order}`, "Refund …"],
  ["orders/nonsense"],
  ["dead-letters?status=all"],
  [`dead-letters/${letter}`, "Show personal data"],
  [`dead-letters/${letter}`, "Edit"],
  [`dead-letters/${letter}`, "Replay …"],
  ["stock", `Adjust the stock of ${sku}`],
  ["catalogue"],
  [`catalogue/${sku}`, "Archive …"],
  ["catalogue/new", "Create"],
  ["books"],
  ["lab"],
  ["nothing"],
];

const schemes = ["light", "dark"] as const;

it("each page of the console is accessible and fits, in light and dark", async () => {
  const sku = await shop.product(2);
  const order = await shop.buy(sku, bouncing);
  const letters = async () => (await shop.deadLetters.listDeadLetters({ orderId: order })).letters;
  await expect.poll(async () => (await letters()).length, { timeout: patienceMs }).toBeGreaterThan(0);
  const pages = pagesOf(sku, order, (await letters())[0]?.id ?? 0n);
  await Promise.all(schemes.map((scheme) => walk(scheme, pages)));
});

async function walk(colorScheme: (typeof schemes)[number], pages: ReturnType<typeof pagesOf>) {
  const check = async (page: Page, what: string) => {
    await page.setViewportSize({ width: 360, height: 740 });
    await expectFits(page, what);
    // The narrow page has the same parts in other places: each width is checked in one colour scheme.
    if (colorScheme === "light") await page.setViewportSize({ width: 1360, height: 900 });
    await expectAccessible(page, `${what}, ${colorScheme}`);
  };
  const login = await visit("/ops", { colorScheme });
  await login.getByRole("heading", { name: "Spillway console" }).waitFor();
  await check(login, "login");
  const page = await open(shop.link, { colorScheme });
  await page.getByText("live", { exact: true }).waitFor();
  await check(page, "flow");
  for (const [path, ...clicks] of pages) {
    await page.goto(`${shop.url}/ops/${path}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.getByText("Loading …").first().waitFor({ state: "detached" });
    await page.getByText("The audit reads every order …").waitFor({ state: "detached" });
    if (clicks.length === 0) await check(page, path);
    for (const name of clicks) {
      await page.getByRole("button", { name }).click();
      await check(page, `${path}: ${name}`);
    }
  }
}
