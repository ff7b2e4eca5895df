import { DeadLetterStatus } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import type { Page } from "playwright-core";
import { describe, expect, inject, it } from "vitest";
import { buyNow, fillIn, notice, sharedShop, shows, visits } from "../browser.ts";
import { bouncing, isMailed } from "../mails.ts";
import { patienceMs } from "../shop.ts";

const shop = sharedShop();
const { visit, open } = visits(shop);

/** The stages of an order that is bought, shipped and confirmed, in the console's flow, and its steps in the timeline. */
const stages = ["Accept", "Reserve", "Charge", "Settle", "Flush", "Relay", "Write", "Ship"];
const steps = ["reserved", "charged", "settled", "written", "shipped", "mailed"];

/** Waits until each stage has had a rate above 0, if only for a moment, while `during` runs. */
async function pass(page: Page, during: () => Promise<void>) {
  await page.evaluate(() => {
    const seen = new Set<string>();
    const look = () => {
      for (const stage of document.querySelectorAll("[role=button][aria-label]")) {
        const [, name] = /^(\S+) (?!0\.0\/)\d/.exec(stage.getAttribute("aria-label") ?? "") ?? [];
        if (name) seen.add(name);
      }
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
    Object.assign(globalThis, { seen });
  });
  await during();
  await page.waitForFunction(
    (stages) => stages.every((stage) => (globalThis as unknown as { seen: Set<string> }).seen.has(stage)),
    stages,
  );
}

describe("an operator", () => {
  it.each([
    { locale: "en", soldOut: "Sold out" },
    { locale: "zh-CN", soldOut: "已售罄" },
  ])("sees the last unit of a sale, bought in $locale, pass each stage", async ({ locale, soldOut }) => {
    const sku = await shop.product(1);
    const flow = await open();
    await flow.getByText("live", { exact: true }).waitFor();
    const page = await visit(`/sale/${sku}`, { locale });
    await fillIn(page);
    await pass(flow, async () => {
      await buyNow(page).click();
      await notice(page, "good").waitFor();
    });
    await flow.goto(`${shop.url}/ops/orders?sku=${sku}`);
    await flow.getByRole("rowheader").getByRole("link").click();
    const timeline = flow.locator(".timeline");
    for (const step of steps) await timeline.getByText(step, { exact: true }).first().waitFor();
    await notice(page, "good").getByRole("link").first().click();
    await shows(page, "SHIPPED");
    await page.goto(`/sale/${sku}`);
    await page.getByRole("heading", { name: soldOut }).waitFor();
  });

  it("watches the flow during a load, and pauses it", async () => {
    const sku = await shop.product(10_000);
    const page = await open();
    await page.getByText("live", { exact: true }).waitFor();
    let buying = true;
    const buyers = Array.from({ length: 4 }, async () => {
      while (buying) await shop.buy(sku).catch(() => undefined);
    });
    try {
      await pass(page, () => page.getByRole("button", { name: /^Accept [1-9]/ }).waitFor());
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByText("paused", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("live", { exact: true }).waitFor();
    } finally {
      buying = false;
      await Promise.all(buyers);
    }
  });

  it("refunds a part of an order that is shipped", async () => {
    const id = await shop.buy(await shop.product(5));
    const page = await open();
    await page.goto(`${shop.url}/ops/orders/${id}`);
    await page.locator(".timeline strong", { hasText: "shipped" }).waitFor();
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
  });

  it("mends a dead letter by hand", async () => {
    const orderId = await shop.buy(await shop.product(5), bouncing);
    const left = async () =>
      (await shop.deadLetters.listDeadLetters({ orderId, status: DeadLetterStatus.OPEN })).letters;
    await expect.poll(async () => (await left()).length, { timeout: patienceMs }).toBe(2);
    const [first, second] = await left();
    const page = await open();
    await page.getByRole("link", { name: /^Dead letters/ }).click();
    await page
      .getByRole("rowheader")
      .getByRole("link", { name: String(first?.id), exact: true })
      .click();
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
    await expect.poll(() => isMailed(inject("mails"), "mended@example.com"), { timeout: patienceMs }).toBe(true);
    // The other mail of that order is discarded, in bulk.
    await page.getByRole("link", { name: "All dead letters" }).click();
    await page.getByLabel(`Choose dead letter ${second?.id}`, { exact: true }).click();
    await page.getByRole("button", { name: "Discard …" }).click();
    await page.getByLabel("Why").fill("it was told by phone");
    await page.getByRole("button", { name: "Discard 1 dead letter" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByLabel(`Choose dead letter ${second?.id}`, { exact: true }).waitFor({ state: "detached" });
    expect(await left()).toEqual([]);
  });
});
