import { describe, expect, it } from "vitest";
import { buyNow, fillIn, notice, sharedShop, shows, showsOnce, visits } from "../browser.ts";
import { patienceMs } from "../shop.ts";

const shop = sharedShop();
const { visit } = visits(shop);

/** Waits until so many units are left; the catalogue is a moment behind. */
const left = (sku: string, units: number) =>
  expect.poll(() => shop.available(sku), { timeout: patienceMs }).toBe(units);

describe("a customer", () => {
  it("buys what is in the cart", async () => {
    const sku = await shop.product(5);
    const page = await visit(`/product/${sku}`);
    await page.getByRole("button", { name: "Add to cart" }).click();
    await page.getByRole("link", { name: "Go to the cart" }).click();
    await page.getByRole("link", { name: "Go to checkout" }).click();
    await fillIn(page);
    await page.getByRole("button", { name: /^Pay €/ }).click();
    await shows(page, "SHIPPED");
    await page.getByRole("link", { name: "Your orders" }).first().click();
    await page.getByRole("link", { name: /1 × Lantern.*Shipped/ }).waitFor();
    await left(sku, 4);
  });

  it("makes one order by a double click", async () => {
    const sku = await shop.product(5);
    const page = await visit(`/sale/${sku}`);
    await fillIn(page);
    await buyNow(page).dblclick();
    await notice(page, "good").waitFor();
    await left(sku, 4);
  });

  it("sees the order after a reload in mid-flight", async () => {
    const sku = await shop.product(5);
    const page = await visit(`/sale/${sku}`);
    await fillIn(page);
    let calls = 0;
    const made = new Promise<void>((resolve) => {
      void page.route(/PlaceOrder/, async (route) => {
        if (calls++ > 0) return route.continue();
        await route.fetch(); // The order is made, and its response never arrives.
        resolve();
      });
    });
    await buyNow(page).click();
    await made;
    await page.reload();
    await notice(page, "good").waitFor();
    await left(sku, 4);
  });

  it("reserves after a reload what had not reached the shop, without the card that is gone", async () => {
    const page = await visit(`/sale/${await shop.product(5)}`);
    await fillIn(page);
    let calls = 0;
    const held = new Promise<void>((resolve) => {
      void page.route(/PlaceOrder/, (route) => (calls++ > 0 ? route.continue() : resolve()));
    });
    await buyNow(page).click();
    await held;
    await page.reload();
    await page.getByText("Pay it on the page of the order").waitFor();
  });

  it("sees in a second tab the order of the first", async () => {
    const sku = await shop.product(5);
    const first = await visit(`/sale/${sku}`);
    await fillIn(first);
    const second = await first.context().newPage();
    await second.goto(`/sale/${sku}`);
    await fillIn(second);
    await Promise.all([buyNow(first).click(), buyNow(second).click()]);
    await Promise.all([notice(first, "good").waitFor(), notice(second, "good").waitFor()]);
    await left(sku, 4);
  });

  it("gets the last unit, or reads at once that another got it, and what else there is", async () => {
    const sku = await shop.product(1);
    const pages = await Promise.all([visit(`/sale/${sku}`), visit(`/sale/${sku}`, { locale: "zh-CN" })]);
    await Promise.all(pages.map((page) => fillIn(page)));
    await Promise.all(pages.map((page) => buyNow(page).click()));
    const ends = pages.map((page) => {
      const bought = notice(page, "good").waitFor();
      const soldOut = page.getByRole("heading", { name: /^(Sold out|已售罄)$/ }).waitFor();
      return Promise.race([bought.then(() => "bought"), soldOut.then(() => "sold out")]);
    });
    expect((await Promise.all(ends)).sort()).toEqual(["bought", "sold out"]);
    await left(sku, 0);
  });

  it("reads what was sold out while it was in the cart", async () => {
    const sku = await shop.product(2);
    const page = await visit(`/product/${sku}`);
    await page.getByLabel("Quantity").selectOption("2");
    await page.getByRole("button", { name: "Add to cart" }).click();
    await page.getByRole("link", { name: "Go to the cart" }).click();
    await page.getByRole("link", { name: "Go to checkout" }).click();
    await fillIn(page);
    await shop.leave(sku, 1);
    await page.getByRole("button", { name: /^Pay €/ }).click();
    await page.getByText("you want 2, 1 are left").waitFor();
    await notice(page, "bad").getByRole("link", { name: "Cart" }).click();
    await page.getByRole("button", { name: "Take the 1 that are left" }).click();
    await page.getByText("1 × Lantern").waitFor();
  });

  it("waits as the server asks while it is busy, and sends the same key again", async () => {
    const page = await visit(`/sale/${await shop.product(5)}`);
    await fillIn(page);
    const keys: string[] = [];
    await page.route(/PlaceOrder/, async (route) => {
      keys.push(route.request().postDataJSON().idempotencyKey);
      if (keys.length > 1) return route.continue();
      return route.fulfill({ status: 429, contentType: "application/json", body: JSON.stringify(busy) });
    });
    // For the second that the server asks for.
    const wereShown = await showsOnce(page, "Many people are ordering just now\\.", "We try again in \\d s");
    await buyNow(page).click();
    await notice(page, "good").waitFor();
    await wereShown();
    expect(keys).toHaveLength(2);
    expect(keys[1]).toBe(keys[0]);
  });

  it("finds out what became of an order whose connection was lost", async () => {
    const sku = await shop.product(5);
    const page = await visit(`/sale/${sku}`);
    await fillIn(page);
    let lost = 0;
    await page.route(/PlaceOrder/, async (route) => {
      await route.fetch(); // The order is made.
      lost++;
      return lost > 1 ? route.continue() : route.abort("connectionreset");
    });
    await buyNow(page).click();
    await notice(page, "good").waitFor();
    await left(sku, 4);
  });
});

/** What the server responds at its limit, as docs/errors.md has it: ErrorInfo and a RetryInfo of one second. */
const busy = {
  code: "resource_exhausted",
  message: "busy",
  details: [
    { type: "google.rpc.ErrorInfo", value: base64([0x0a, 12, ..."JOURNAL_FULL"], [0x12, 8, ..."spillway"]) },
    { type: "google.rpc.RetryInfo", value: base64([0x0a, 2, 0x08, 1]) },
  ],
};

function base64(...fields: (number | string)[][]): string {
  const bytes = fields.flat().map((b) => (typeof b === "string" ? b.charCodeAt(0) : b));
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}
