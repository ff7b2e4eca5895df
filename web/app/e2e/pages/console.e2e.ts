import type { Page, Route } from "playwright-core";
import { describe, expect, it } from "vitest";
import { sharedShop, visits } from "../browser.ts";
import { bouncing } from "../mails.ts";
import { patienceMs } from "../shop.ts";

const shop = sharedShop();
const { open } = visits(shop);

/** Waits until the page reads the address once more. The page gets what was read when the returned function is called. */
async function holdNextRead(page: Page, url: string): Promise<() => void> {
  let respond = () => {};
  const held = new Promise<void>((resolve) => {
    respond = resolve;
  });
  await new Promise<void>((wasRead) => {
    const hold = async (route: Route) => {
      const response = await route.fetch();
      wasRead();
      await held;
      await route.fulfill({ response }).catch(() => {}); // The page may have given the read up.
    };
    page.route(url, hold, { times: 1 });
  });
  return respond;
}

describe("the console", () => {
  it("forgets the token of the link in the address, and keeps the login over a reload", async () => {
    const page = await open(shop.address.link);
    expect(page.url()).toBe(`${shop.url}/ops`);
    await page.reload();
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Spillway console" }).waitFor();
  });

  it("links the trace of an order", async () => {
    const id = await shop.buy(await shop.product(1));
    const page = await open();
    await page.goto(`${shop.url}/ops/orders/${id}`);
    const link = page.locator(".timeline + p").getByRole("link");
    const trace = (await link.textContent()) ?? "";
    expect(trace).toMatch(/^[0-9a-f]{32}$/);
    expect(await link.getAttribute("href")).toBe(`https://traces.example/trace/${trace}`);
  });

  it("adjusts the stock, makes a product and archives it", async () => {
    const page = await open();
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
  });

  it("sends a load, reports what became of it, and stops another", async () => {
    const page = await open();
    await page.getByRole("link", { name: "Load lab" }).click();
    await page.getByLabel("Arrivals a second").fill("10");
    await page.getByLabel("For how many seconds").fill("2");
    await page.getByLabel("Units on sale").fill("5");
    await page.getByRole("button", { name: "Start" }).click();
    const verdict = page.getByText("Every accepted order was found as it was accepted, and the books close.");
    await verdict.waitFor({ timeout: 2 * patienceMs });
    await page.getByLabel("Scenario").selectOption("uniform");
    await page.getByLabel("Arrivals a second").fill("1");
    await page.getByLabel("For how many seconds").fill("120");
    const respond = await holdNextRead(page, "**/ops/load.json");
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByText(/^Running: /).waitFor();
    respond();
    await page.waitForTimeout(500); // Long enough to show the response, and shorter than the time to the next one.
    expect(await page.getByRole("button", { name: "Stop" }).isVisible()).toBe(true);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText(/^Running: /).waitFor({ state: "detached" });
    expect(await page.getByRole("button", { name: "Start" }).isEnabled()).toBe(true);
  });

  it("audits the books", async () => {
    const sku = await shop.product(4321);
    const page = await open();
    await page.getByRole("link", { name: "Books" }).click();
    await page.getByText("The books close.").waitFor();
    await page.getByRole("row", { name: new RegExp(`^${sku} .* 4,321 `) }).waitFor();
  });

  it("refuses a customer's token, and says so", async () => {
    const page = await open(shop.linkFor("--customer", "eve"));
    await page.getByText("this needs the role operator").waitFor();
    await readsOnly(page, "Catalogue");
  });

  it("shows everything to a role that only reads, and nothing that changes it", async () => {
    const email = `${Math.random().toString(36).slice(2)}@example.com`;
    const sku = await shop.product(1);
    const id = await shop.buy(sku, email);
    await shop.buy(await shop.product(1), bouncing);
    const page = await open(shop.linkFor("--customer", "auditor", "--role", "operator:read"));
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByText("read only").waitFor();

    await page.getByRole("link", { name: "Orders", exact: true }).click();
    await page.getByLabel("SKU").fill(sku);
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("link", { name: id }).click();
    await page.locator(".timeline strong", { hasText: "charged" }).waitFor();
    expect(await changes(page)).toEqual([]);
    expect(await page.getByText(email).count()).toBe(0);
    await page.getByRole("button", { name: "Show personal data" }).click();
    await page.getByText(email).waitFor();

    await page.goto(`${shop.url}/ops/dead-letters?status=all`);
    const letter = page.getByRole("rowheader").getByRole("link").first();
    await letter.waitFor({ timeout: patienceMs }).catch(() => page.reload());
    expect(await changes(page)).toEqual([]);
    expect(await page.getByRole("checkbox").count()).toBe(0);
    await letter.click();
    await page.getByText("It may contain a name, an address and a mail address.").waitFor();
    expect(await changes(page)).toEqual([]);
    await page.getByRole("button", { name: "Show personal data" }).click();
    await page.getByText(bouncing).first().waitFor();

    await page.goto(`${shop.url}/ops/catalogue/${sku}`);
    expect(await page.getByLabel("Name").isEditable()).toBe(false);
    expect(await changes(page)).toEqual([]);
    for (const [name, content] of [
      ["Catalogue", "rowheader"],
      ["Stock", "rowheader"],
      ["Books", "rowheader"],
    ] as const) {
      await readsOnly(page, name);
      await page.getByRole(content).first().waitFor();
    }
    await readsOnly(page, "Load lab");
    await page.getByText("can watch a load").waitFor();
  });

  it("can be used by the keyboard alone", async () => {
    const page = await open();
    const stage = page.getByRole("button", { name: /^Flush / });
    await stage.waitFor();
    for (let i = 0; i < 40 && !(await stage.evaluate((e) => e === document.activeElement)); i++)
      await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Flush" }).waitFor();
  });
});

/** The controls of the page that would change something. */
const changes = (page: Page) =>
  page
    .getByRole("main")
    .locator("button, a.button")
    .filter({ hasText: /…$|^(New product|Create|Save|Start|Stop|Edit)$/ })
    .allTextContents();

async function readsOnly(page: Page, name: string) {
  await page.getByRole("navigation").getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
  expect(await changes(page), name).toEqual([]);
}
