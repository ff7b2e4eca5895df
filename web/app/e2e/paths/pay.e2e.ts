import { describe, expect, it } from "vitest";
import { buyNow, fillIn, notice, sharedShop, shows, visits } from "../browser.ts";
import { reconcileAfterMs } from "../shop.ts";

const shop = sharedShop();
const { visit } = visits(shop);

describe("a customer", () => {
  it("follows a payment whose outcome is unknown until it is settled", async () => {
    const page = await visit(`/sale/${await shop.product(5)}`);
    await fillIn(page, "4000 0000 0000 0341");
    const clickedMs = Date.now();
    await buyNow(page).click();
    await page.getByText("The bank has not responded yet.").waitFor();
    await page.getByRole("link", { name: "Follow the order" }).click();
    const state = await page.locator(".timeline").getAttribute("data-state");
    // It is settled no sooner; on a busy machine the page may show it later.
    if (Date.now() - clickedMs < reconcileAfterMs) expect(state).toBe("PENDING");
    await page.reload();
    await shows(page, "SHIPPED");
  });

  it("is refused with a declined card, and buys with the next one", async () => {
    const page = await visit(`/sale/${await shop.product(5)}`);
    await fillIn(page, "4000 0000 0000 9995");
    await buyNow(page).click();
    await page.getByText("The card was declined.").waitFor();
    await page.getByLabel("Card number").fill("4242 4242 4242 4242");
    await buyNow(page).click();
    await notice(page, "good").waitFor();
  });

  it("reserves without a card, and pays later", async () => {
    const page = await visit(`/sale/${await shop.product(5)}`);
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
    const page = await visit(`/sale/${await shop.product(5)}`);
    await fillIn(page);
    await page.getByLabel("Reserve now").check();
    await buyNow(page).click();
    await page.getByRole("link", { name: "Follow the order" }).click();
    await page.getByRole("button", { name: "Cancel the order" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await shows(page, "CANCELLED");
    await page.getByText("You cancelled it.").waitFor();
  });
});
