import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { expectAccessible, expectNoErrors, launch, open, stepMs } from "./browser.ts";
import { buy, deadLettersOf, type RunningShop, startMailServer, startShop, tokenOf } from "./shop.ts";

const bouncing = "bounces@example.com";

let browser: Browser;
let shop: RunningShop;
let mails: Awaited<ReturnType<typeof startMailServer>>;
const sku = "E2E-1";
/** The carrier of this shop takes three orders a second. */
const betweenOrdersMs = 400;

beforeAll(async () => {
  mails = await startMailServer(bouncing);
  // The carrier takes its time, so that there is a moment in which an order can be cancelled.
  shop = await startShop(
    "--smtp-host",
    "127.0.0.1",
    "--smtp-port",
    String(mails.port),
    "--smtp-plain",
    "--carrier-latency",
    "3s",
  );
  browser = await launch();
  await shop.operator.catalog.createProduct({
    product: { sku, name: "As many as you like", price: { currencyCode: "EUR", units: 12n }, maxPerCustomer: 0 },
    initialStock: 100_000n,
  });
});

afterAll(async () => {
  await browser?.close();
  await shop?.stop();
  mails?.stop();
});

afterEach(expectNoErrors);

describe("the console", () => {
  it("forgets the token in the address, and keeps the login over a reload", async () => {
    const page = await open(browser, shop.link);
    expect(page.url()).toBe(`${shop.url}/ops`);
    await page.reload();
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Spillway console" }).waitFor();
    await page.context().close();
  });

  it("shows orders passing the stages while they are bought, and can be paused", async () => {
    const page = await open(browser, shop.link);
    const accept = page.getByRole("button", { name: /^Accept / });
    await accept.waitFor();
    let buying = true;
    const load = (async () => {
      for (let i = 0; buying; i++) {
        await buy(shop.customer, sku, `load-${i}`).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, betweenOrdersMs));
      }
    })();
    await page.getByRole("button", { name: /^Accept (?!0\.0\/)\d/ }).waitFor();
    await page.getByRole("button", { name: /^Flush (?!0\.0\/)\d/ }).waitFor();
    await page.getByRole("button", { name: /^Ship (?!0\.0\/)\d/ }).waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("paused", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByText("live", { exact: true }).waitFor();
    buying = false;
    await load;
    await page.context().close();
  });

  it("finds an order by mail address, cancels it, and shows that the money goes back", async () => {
    const email = "cancelled@example.com";
    const id = await buy(shop.customer, sku, "cancelled", email);
    const page = await open(browser, shop.link);
    await page.goto(`${shop.url}/ops/orders/${id}`);
    await page.getByRole("button", { name: "Cancel …" }).click();
    await page.getByLabel("Why").fill("the customer called");
    await page.getByRole("button", { name: "Cancel the order" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText("cancelled", { exact: true }).first().waitFor();
    await page.getByText("refunded", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Orders", exact: true }).click();
    await page.getByLabel("E-mail").fill(email);
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/email=cancelled%40example.com/);
    await page.getByRole("link", { name: id }).waitFor();
    expect(await page.getByText(email).count()).toBe(0);
    await page.getByRole("button", { name: "Show personal data" }).click();
    await page.getByText(email).waitFor();
    await page.context().close();
  });

  it("refunds a part of an order that is shipped", async () => {
    const id = await buy(shop.customer, sku, "refunded");
    await expect
      .poll(async () => (await shop.customer.orders.getOrder({ orderId: id })).order?.trackingId && shipped(id), {
        timeout: stepMs,
      })
      .toBe(true);
    const page = await open(browser, shop.link);
    await page.goto(`${shop.url}/ops/orders/${id}`);
    await page.getByRole("button", { name: "Refund …" }).click();
    await page.getByLabel("Amount in EUR").fill("nonsense");
    await page.getByText("A number such as 12.99.").waitFor();
    await page.getByLabel("Amount in EUR").fill("1.50");
    await page.getByLabel("Why").fill("a scratch");
    await page.getByRole("button", { name: "Refund", exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("table", { name: "Refunds" }).getByText("confirmed").waitFor();
    const { refunds } = await shop.operator.orders.getOrderTimeline({ orderId: id });
    expect(refunds.map((r) => [r.amount?.units, r.amount?.nanos, r.reason])).toEqual([[1n, 500_000_000, "a scratch"]]);
    await page.context().close();
  });

  it("mends a dead letter by hand", async () => {
    await buy(shop.customer, sku, "bounces", bouncing);
    const letters = deadLettersOf(shop.operator);
    await expect.poll(async () => (await letters.listDeadLetters({})).letters.length, { timeout: stepMs }).toBe(2);
    const page = await open(browser, shop.link);
    await page.getByRole("link", { name: /^Dead letters/ }).click();
    await page.getByRole("rowheader").getByRole("link").first().click();
    expect(await page.getByText(bouncing).count()).toBe(0);
    await page.getByRole("button", { name: "Edit" }).click();
    const payload = page.getByLabel("Payload");
    const text = await payload.inputValue();
    expect(text).toContain(bouncing);
    await payload.fill(`${text}}`);
    await page.getByText("text after the document").waitFor();
    await payload.fill(text.replaceAll(bouncing, "mended@example.com"));
    await page.getByLabel("Why").fill("a typo of the customer");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Replay …" }).click();
    await page.getByRole("button", { name: "Dry run" }).click();
    await page.getByText("1 can be replayed").waitFor();
    await page.getByRole("button", { name: "Replay 1 dead letter" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText("a typo of the customer").waitFor();
    await expect.poll(() => mails.taken.includes("mended@example.com"), { timeout: stepMs }).toBe(true);
    // The other mail of that order is discarded, in bulk.
    await page.getByRole("link", { name: "All dead letters" }).click();
    await page.getByLabel(/^Choose all: /).click();
    await page.getByRole("button", { name: "Discard …" }).click();
    await page.getByLabel("Why").fill("it was told by phone");
    await page.getByRole("button", { name: "Discard 1 dead letter" }).click();
    await page.getByText("There are none.").waitFor();
    expect((await letters.listDeadLetters({ status: 1 })).letters).toEqual([]);
    await page.context().close();
  });

  it("adjusts the stock, makes a product and archives it", async () => {
    const page = await open(browser, shop.link);
    await page.getByRole("link", { name: "Catalogue" }).click();
    await page.getByRole("link", { name: "New product" }).click();
    await page.getByLabel("SKU").fill("CONSOLE-1");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByText("1 to 200 characters.").waitFor();
    await page.getByLabel("Name").fill("Made in the console");
    await page.getByLabel("Price of one unit").fill("12.99");
    await page.getByLabel("Units at first").fill("5");
    await page.getByRole("button", { name: "Create" }).click();
    await page.waitForURL(/catalogue\/CONSOLE-1$/);
    await page.getByRole("link", { name: "Stock" }).click();
    await page.getByLabel("Filter by SKU or name").fill("console-1");
    await page.getByRole("button", { name: "Adjust the stock of CONSOLE-1" }).click();
    await page.getByLabel("Units").fill("-2");
    await page.getByLabel("Why").fill("two were broken");
    await page.getByRole("button", { name: "Remove units" }).click();
    await page
      .getByRole("row", { name: /CONSOLE-1/ })
      .getByRole("cell", { name: "3", exact: true })
      .waitFor();
    await page.getByRole("link", { name: "Made in the console" }).click();
    await page.getByRole("button", { name: "Archive …" }).click();
    await page.getByRole("button", { name: "Archive", exact: true }).click();
    await page.getByText("It is archived").waitFor();
    expect((await shop.customer.catalog.getProduct({ sku: "CONSOLE-1" })).product?.archived).toBe(true);
    await page.context().close();
  });

  it("sends a load, and reports what became of it", async () => {
    const page = await open(browser, shop.link);
    await page.getByRole("link", { name: "Load lab" }).click();
    await page.getByLabel("Arrivals a second").fill("10");
    await page.getByLabel("For how many seconds").fill("3");
    await page.getByLabel("Units on sale").fill("5");
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByText(/^Running: /).waitFor();
    await page
      .getByText("Every accepted order was found as it was accepted, and the books close.")
      .waitFor({ timeout: 120_000 });
    await page.context().close();
  });

  it("audits the books", async () => {
    const page = await open(browser, shop.link);
    await page.getByRole("link", { name: "Books" }).click();
    await page.getByText("The books close.").waitFor();
    await page.getByRole("row", { name: /^E2E-1 .* 100,000 / }).waitFor();
    await page.context().close();
  });

  it("refuses a customer's token, and says so", async () => {
    const page = await open(browser, `${shop.url}/ops#token=${tokenOf(shop, "--customer", "eve")}`);
    await page.getByText("this needs the role operator").waitFor();
    expect(await page.getByText("read only").count()).toBe(1);
    await page.getByRole("link", { name: "Catalogue" }).click();
    await page.getByRole("heading", { name: "Catalogue" }).waitFor();
    expect(await page.getByRole("link", { name: "New product" }).count()).toBe(0);
    await page.context().close();
  });
});

async function shipped(orderId: string): Promise<boolean> {
  const { order } = await shop.operator.orders.getOrder({ orderId });
  return order?.state === 4;
}

describe.each(["light", "dark"] as const)("in %s", (colorScheme) => {
  it.each([
    { width: 1360, height: 900 },
    { width: 360, height: 740 },
  ])("axe finds nothing on any page, $width px wide", async (viewport) => {
    const page = await open(browser, shop.link, { colorScheme, viewport });
    await page.getByText("live", { exact: true }).waitFor();
    await expectAccessible(page, "flow");
    const { orders } = await shop.operator.orders.listOrders({ allCustomers: true, pageSize: 1 });
    const [letter] = (await deadLettersOf(shop.operator).listDeadLetters({})).letters;
    const pages = [
      "orders",
      `orders/${orders[0]?.id}`,
      "dead-letters?status=all",
      `dead-letters/${letter?.id}`,
      "stock",
      "catalogue",
      "catalogue/new",
      "books",
      "lab",
    ];
    for (const path of pages) {
      await page.goto(`${shop.url}/ops/${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.getByText("Loading …").waitFor({ state: "detached" });
      await page.getByText("The audit reads every order …").waitFor({ state: "detached" });
      await expectAccessible(page, path);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, `${path} is wider than the screen`).toBeLessThanOrEqual(0);
    }
    await page.context().close();
  });
});

it("can be used by the keyboard alone", async () => {
  const page = await open(browser, shop.link);
  const accept = page.getByRole("button", { name: /^Flush / });
  await accept.waitFor();
  for (let i = 0; i < 40 && !(await accept.evaluate((e) => e === document.activeElement)); i++)
    await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Flush" }).waitFor();
  await page.context().close();
});
