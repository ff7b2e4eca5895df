import { afterAll, beforeAll, describe, it } from "vitest";
import { buyNow, fillIn, sharedShop, shows, visits } from "../browser.ts";
import { type StartedShop, startShop } from "../shop.ts";

const { visit, open } = visits(sharedShop());

// A carrier that is down leaves time to cancel a paid order.
describe("a paid order that is not shipped yet", () => {
  let shop: StartedShop;
  beforeAll(async () => {
    shop = await startShop(["--simulate-carrier", "down"]);
  });
  afterAll(() => shop?.stop());

  it("is cancelled by its customer, with the money back", async () => {
    const page = await visit(`/sale/${await shop.product(5)}`, {}, shop);
    await fillIn(page);
    await buyNow(page).click();
    await page.getByRole("link", { name: "Follow the order" }).click();
    await shows(page, "SHIP_FAILED");
    await page.getByRole("button", { name: "Cancel the order" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await page.getByText(/€[\d.]+ refunded/).waitFor();
  });

  it("is found by an operator by its mail address, and cancelled with the money back", async () => {
    const email = "cancelled@example.com";
    const id = await shop.buy(await shop.product(5), email);
    const page = await open(shop.link);
    await page.getByRole("link", { name: "Orders", exact: true }).click();
    await page.getByLabel("E-mail").fill(email);
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/email=cancelled%40example.com/);
    await page.getByRole("link", { name: id }).click();
    await page.getByRole("button", { name: "Cancel …" }).click();
    await page.getByLabel("Why").fill("the customer called");
    await page.getByRole("button", { name: "Cancel the order" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText("cancelled", { exact: true }).first().waitFor();
    await page.getByText("refunded", { exact: true }).waitFor();
  });
});
