import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { buyNow, fillIn, sharedShop, visits } from "../browser.ts";

const shop = sharedShop();
const { visit } = visits(shop);

describe("the shop", () => {
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
    const page = await visit(`/sale/${await shop.product(5)}`);
    await fillIn(page);
    await page.getByLabel("Town").fill("");
    await buyNow(page).click();
    await page.getByText("Please enter the town.").waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute("autocomplete") === "address-level2");
  });

  it("begins a sale by the server's clock", async () => {
    const sku = await shop.product(5);
    await shop.beginSale(sku, new Date(saleStart));
    const page = await visit("/");
    await page.route("/shop.json", (route) =>
      route.fulfill({ json: { time: new Date(Date.parse(saleStart) - 5_000).toISOString(), testCards: true } }),
    );
    // The page itself notes how it changes: a test that looks may be too late.
    await page.addInitScript(() => {
      const sale = { counted: false, open: false };
      const look = () => {
        const button = document.querySelector<HTMLButtonElement>("button.big");
        sale.open = button?.disabled === false;
        sale.counted ||= button?.disabled === true && !!document.body.textContent?.includes("The sale begins in");
      };
      new MutationObserver(look).observe(document, {
        subtree: true,
        childList: true,
        attributes: true,
        characterData: true,
      });
      Object.assign(globalThis, { sale });
    });
    await page.goto(`/sale/${sku}`);
    await page.waitForFunction(() => {
      const { sale } = globalThis as unknown as { sale: { counted: boolean; open: boolean } };
      return sale.counted && sale.open;
    });
  });

  it("sells by the keyboard alone, from the home page to the order", async () => {
    const page = await visit("/");
    await page.locator(".grid li").first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter"); // Skip to the content.
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
    await tabTo(page, "a[href='/product/6E92ZMYYFZ']");
    await page.keyboard.press("Enter");
    await tabTo(page, ".detail button.primary");
    await page.keyboard.press("Enter");
    await tabTo(page, ".notice a[href='/cart']");
    await page.keyboard.press("Enter");
    await tabTo(page, "a[href='/checkout']");
    await page.keyboard.press("Enter");
    for (const [field, text] of Object.entries(typed)) {
      await tabTo(page, `input[autocomplete="${field}"]`);
      await page.keyboard.type(text);
    }
    await page.keyboard.press("Enter"); // In the last field of the form.
    await page.locator(".timeline").waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  });
});

/** By the clock of the browser, that is not soon. */
const saleStart = "2099-01-01T00:00:00Z";

const typed = {
  email: "ada@example.com",
  name: "Ada Lovelace",
  "street-address": "Main St 1",
  "postal-code": "10115",
  "address-level2": "Berlin",
  "cc-number": "4242424242424242",
  "cc-exp": "01/30",
  "cc-csc": "123",
};

/** More than any page has. */
const maxTabs = 80;

/** Moves the focus on with the tab key until it is on the element. */
async function tabTo(page: Page, selector: string) {
  await page.locator(selector).first().waitFor();
  for (let i = 0; i < maxTabs; i++) {
    if (await page.evaluate((s) => document.activeElement?.matches(s), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the tab key does not reach ${selector}`);
}
