import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { customer, fillIn, patienceMs, Shop, shows, startBrowser } from "./shop.ts";

const mug = "6E92ZMYYFZ";
const watch = "1YMWWN1N4O";
const kettle = "KT3QW8ZB1A";
const lamp = "LM6HE3WD7H";

/** Each customer buys much here. */
const unlimited = ["--units-window", "0s", "--unpaid-orders", "0", "--unpaid-share", "0", "--address-declines", "0"];

let shop: Shop;
let browser: Browser;
const opened: { errors: string[]; context: { close(): Promise<void> } }[] = [];

/** A new customer, who is gone after the test. */
async function visit(path: string, options = {}, at = shop): Promise<Page> {
  const c = await customer(browser, at, options);
  opened.push(c);
  await c.page.goto(path);
  return c.page;
}

beforeAll(async () => {
  [shop, browser] = await Promise.all([Shop.start(...unlimited), startBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await shop?.stop();
});
afterEach(async () => {
  const errors = opened.flatMap((c) => c.errors);
  await Promise.all(opened.splice(0).map((c) => c.context.close()));
  expect(errors).toEqual([]);
});

const buyNow = (page: Page) => page.locator("button.big");
const notice = (page: Page, kind: string) => page.locator(`.notice.${kind}`);

describe("the shop", () => {
  it("sells what is in the cart", async () => {
    const page = await visit("/");
    await page.getByRole("link", { name: /^Mug/ }).click();
    await page.getByRole("button", { name: "Add to cart" }).click();
    await page.getByRole("link", { name: "Go to the cart" }).click();
    await page.getByRole("link", { name: "Go to checkout" }).click();
    await fillIn(page);
    await page.getByRole("button", { name: /^Pay €/ }).click();
    await shows(page, "SHIPPED");
    await page.getByRole("link", { name: "Your orders" }).first().click();
    await page.getByRole("link", { name: /1 × Mug.*Shipped/ }).waitFor();
  });

  it("keeps language and currency", async () => {
    const page = await visit("/");
    await page.getByLabel("Language").selectOption("zh-CN");
    await page.getByLabel("货币").selectOption("JPY");
    await page.reload();
    await page.getByRole("link", { name: "购物车" }).waitFor();
    expect(await page.getAttribute("html", "lang")).toBe("zh-CN");
    await page.getByText("￥").or(page.getByText("¥")).first().waitFor();
  });

  it("names what is wrong in the form, and moves there", async () => {
    const page = await visit(`/sale/${mug}`);
    await fillIn(page);
    await page.getByLabel("Town").fill("");
    await buyNow(page).click();
    await page.getByText("Please enter the town.").waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute("autocomplete") === "address-level2");
  });

  it("refuses a declined card and takes the next one", async () => {
    const page = await visit(`/sale/${mug}`);
    await fillIn(page, "4000 0000 0000 9995");
    await buyNow(page).click();
    await page.getByText("The card was declined. Nothing was charged.").waitFor();
    await page.getByLabel("Card number").fill("4242 4242 4242 4242");
    await buyNow(page).click();
    await notice(page, "good").waitFor();
  });

  it("makes one order of a double click", async () => {
    const before = await shop.available(watch);
    const page = await visit(`/sale/${watch}`);
    await fillIn(page);
    await buyNow(page).dblclick();
    await notice(page, "good").waitFor();
    expect(await shop.available(watch)).toBe(before - 1);
  });

  it("shows the order after a reload in mid-flight", async () => {
    const before = await shop.available(watch);
    const page = await visit(`/sale/${watch}`);
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
    expect(await shop.available(watch)).toBe(before - 1);
  });

  it("reserves after a reload what had not reached the shop, without the card that is gone", async () => {
    const page = await visit(`/sale/${mug}`);
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

  it("shows a second tab the order of the first", async () => {
    const before = await shop.available(watch);
    const first = await visit(`/sale/${watch}`);
    await fillIn(first);
    const second = await first.context().newPage();
    await second.goto(`/sale/${watch}`);
    await fillIn(second);
    await Promise.all([buyNow(first).click(), buyNow(second).click()]);
    await Promise.all([notice(first, "good").waitFor(), notice(second, "good").waitFor()]);
    expect(await shop.available(watch)).toBe(before - 1);
  });

  it("sells the last unit to one of two, in their languages, and shows the other what else there is", async () => {
    await shop.leave(kettle, 1);
    const pages = await Promise.all([visit(`/sale/${kettle}`), visit(`/sale/${kettle}`, { locale: "zh-CN" })]);
    for (const page of pages) await fillIn(page);
    await Promise.all(pages.map((page) => buyNow(page).click()));
    const ends = pages.map((page) =>
      Promise.race([
        notice(page, "good")
          .waitFor()
          .then(() => "bought"),
        page
          .getByRole("heading", { name: /^(Sold out|已售罄)$/ })
          .waitFor()
          .then(() => "sold out"),
      ]),
    );
    expect((await Promise.all(ends)).sort()).toEqual(["bought", "sold out"]);
    expect(await shop.available(kettle)).toBe(0);
  });

  it("says what is sold out while it is in the cart", async () => {
    await shop.leave(lamp, 2);
    const page = await visit(`/product/${lamp}`);
    await page.getByLabel("Quantity").selectOption("2");
    await page.getByRole("button", { name: "Add to cart" }).click();
    await page.getByRole("link", { name: "Go to the cart" }).click();
    await page.getByRole("link", { name: "Go to checkout" }).click();
    await fillIn(page);
    await shop.leave(lamp, 1);
    await page.getByRole("button", { name: /^Pay €/ }).click();
    await page.getByText("you want 2, 1 are left").waitFor();
    await notice(page, "bad").getByRole("link", { name: "Cart" }).click();
    await page.getByRole("button", { name: "Take the 1 that are left" }).click();
    await page.getByText("1 × Desk Lamp").waitFor();
  });

  it("waits as the server asks while it is busy, and sends the same key again", async () => {
    const page = await visit(`/sale/${mug}`);
    await fillIn(page);
    const keys: string[] = [];
    await page.route(/PlaceOrder/, async (route) => {
      keys.push(route.request().postDataJSON().idempotencyKey);
      if (keys.length > 1) return route.continue();
      return route.fulfill({ status: 429, contentType: "application/json", body: JSON.stringify(busy) });
    });
    await buyNow(page).click();
    await page.getByText("Many people are ordering just now.").waitFor();
    await page.getByText(/We try again in \d s/).waitFor();
    await notice(page, "good").waitFor();
    expect(keys).toHaveLength(2);
    expect(keys[1]).toBe(keys[0]);
  });

  it("finds out what became of an order whose connection was lost", async () => {
    const before = await shop.available(watch);
    const page = await visit(`/sale/${watch}`);
    await fillIn(page);
    let lost = 0;
    await page.route(/PlaceOrder/, async (route) => {
      await route.fetch(); // The order is made.
      lost++;
      return lost > 1 ? route.continue() : route.abort("connectionreset");
    });
    await buyNow(page).click();
    await notice(page, "good").waitFor();
    expect(await shop.available(watch)).toBe(before - 1);
  });

  it("follows a payment whose outcome is unknown until it is settled", async () => {
    const page = await visit(`/sale/${mug}`);
    await fillIn(page, "4000 0000 0000 0341");
    await buyNow(page).click();
    await page.getByText("The bank has not responded yet.").waitFor();
    await page.getByRole("link", { name: "Follow the order" }).click();
    await shows(page, "PENDING");
    await page.reload();
    await shows(page, "SHIPPED");
  });

  it("reserves without a card, and is paid later", async () => {
    const page = await visit(`/sale/${mug}`);
    await fillIn(page);
    await page.getByLabel("Reserve now").check();
    await buyNow(page).click();
    await page.getByRole("link", { name: "Follow the order" }).click();
    await page.getByText(/It is reserved for you for another 1[0-5]:/).waitFor();
    await page.getByLabel("Card number").fill("4000 0000 0000 0002");
    await page.getByLabel("Valid until").fill("01/30");
    await page.getByLabel("Security code").fill("123");
    await page.getByRole("button", { name: /^Pay €/ }).click();
    await page.getByText("The card was declined.").waitFor();
    await page.getByLabel("Card number").fill("4242424242424242");
    await page.getByRole("button", { name: /^Pay €/ }).click();
    await shows(page, "SHIPPED");
  });

  it("cancels an unpaid order", async () => {
    const page = await visit(`/sale/${mug}`);
    await fillIn(page);
    await page.getByLabel("Reserve now").check();
    await buyNow(page).click();
    await page.getByRole("link", { name: "Follow the order" }).click();
    await page.getByRole("button", { name: "Cancel the order" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await shows(page, "CANCELLED");
    await page.getByText("You cancelled it.").waitFor();
  });

  it("begins a sale by the server's clock", async () => {
    await shop.beginSale(mug, new Date(Date.now() + 8_000));
    const page = await visit(`/sale/${mug}`);
    await page.getByText("The sale begins in").waitFor();
    expect(await buyNow(page).isDisabled()).toBe(true);
    await page.waitForFunction(() => !document.querySelector<HTMLButtonElement>("button.big")?.disabled);
  });

  it("can be used with the keyboard alone", async () => {
    const page = await visit("/");
    await page.locator(".grid li").first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter"); // Skip to the content.
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
    await page.goto(`/sale/${mug}`);
    await fillIn(page);
    await page.keyboard.press("Enter"); // In the last field of the form.
    await notice(page, "good").waitFor();
  });
});

describe("a shop whose carrier is down", () => {
  it("refunds a paid order that is cancelled", async () => {
    const without = await Shop.start(...unlimited, "--simulate-carrier", "down");
    try {
      const page = await visit(`/sale/${mug}`, {}, without);
      await fillIn(page);
      await buyNow(page).click();
      await page.getByRole("link", { name: "Follow the order" }).click();
      await shows(page, "SHIP_FAILED");
      await page.getByRole("button", { name: "Cancel the order" }).click();
      await page.getByRole("button", { name: "Cancel it" }).click();
      await page.getByText(/€[\d.]+ refunded/).waitFor({ timeout: patienceMs });
    } finally {
      await without.stop();
    }
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
