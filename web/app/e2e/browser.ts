import { readFileSync } from "node:fs";
import path from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";
import { patienceMs, root, Shop } from "./shop.ts";

/** The shop that all files share. */
export const sharedShop = () => new Shop(inject("shop"));

export interface Visits {
  /** Opens a page of the shop as a new customer: in a browser profile of its own. */
  visit: (path: string, options?: BrowserContextOptions, shop?: Shop) => Promise<Page>;
  /** Opens the console by a link, as a new operator. */
  open: (link?: string, options?: BrowserContextOptions) => Promise<Page>;
}

/**
 * Opens pages for the tests of a file, and closes them after each. A page that logs an error, such as a violation of the content
 * security policy, fails the test.
 */
export function visits(shop: Shop): Visits {
  let browser: Browser;
  const profiles = new Profiles();
  beforeAll(async () => {
    browser = await chromium.connect(inject("browser"));
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    await profiles.empty();
    expect(profiles.errors.splice(0)).toEqual([]);
  });
  return {
    async visit(path, options = {}, at = shop) {
      const page = await profiles.page(browser, at, options);
      await page.goto(path);
      return page;
    },
    async open(link = shop.link, options = {}) {
      const page = await profiles.page(browser, shop, { viewport: { width: 1360, height: 900 }, ...options });
      await page.goto(link);
      await page.getByRole("navigation", { name: "Pages" }).waitFor();
      return page;
    },
  };
}

/** Browser profiles, one a visitor. They are emptied and used again: a new one costs two seconds of processor time. */
class Profiles {
  readonly errors: string[] = [];
  private readonly free = new Map<string, BrowserContext[]>();
  private readonly used: { key: string; context: BrowserContext }[] = [];

  /** A page in an empty profile with these options. */
  async page(browser: Browser, shop: Shop, options: BrowserContextOptions): Promise<Page> {
    const all = { baseURL: shop.url, locale: "en", reducedMotion: "reduce", ...options } as const;
    const key = JSON.stringify(all);
    const context = this.free.get(key)?.pop() ?? (await this.start(browser, all));
    this.used.push({ key, context });
    return context.pages()[0] ?? context.newPage();
  }

  private async start(browser: Browser, options: BrowserContextOptions): Promise<BrowserContext> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(patienceMs);
    context.on("page", (page) => {
      page.on("pageerror", (e) => this.errors.push(String(e)));
      page.on("console", (m) => {
        // A refused or lost call is what some tests are about: the page shows it.
        if (m.type() === "error" && !/Failed to load resource/.test(m.text())) this.errors.push(m.text());
      });
    });
    return context;
  }

  /** Closes the pages, and forgets what they stored. */
  async empty() {
    for (const { key, context } of this.used.splice(0)) {
      const blank = await context.newPage();
      await Promise.all(context.pages().map((page) => page !== blank && page.close()));
      const stored = await blank.goto("/shop.json").then(
        () => true,
        () => false,
      );
      if (!stored) {
        await context.close(); // Its shop is gone.
        continue;
      }
      await blank.evaluate(() => localStorage.clear());
      this.free.set(key, [...(this.free.get(key) ?? []), context]);
    }
  }
}

const address = {
  email: "ada@example.com",
  name: "Ada Lovelace",
  "street-address": "Main St 1",
  "postal-code": "10115",
  "address-level2": "Berlin",
};

/** Fills in address and card on the checkout's or the sale's form, in any language. */
export async function fillIn(page: Page, card = "4242 4242 4242 4242") {
  for (const [field, value] of Object.entries({ ...address, "cc-number": card, "cc-exp": "01/30", "cc-csc": "123" })) {
    await page.locator(`input[autocomplete="${field}"]`).fill(value);
  }
}

/** Waits until the order's timeline shows the state. */
export async function shows(page: Page, state: string) {
  await page.locator(`.timeline[data-state="${state}"]`).waitFor();
}

/**
 * Notes which of the regular expressions match the page's text from now on, if only for a moment: a test that looks for itself may be too
 * late. The returned function waits until each of them has.
 */
export async function showsOnce(page: Page, ...patterns: string[]): Promise<() => Promise<unknown>> {
  await page.evaluate((patterns) => {
    const missing = new Set(patterns);
    const look = () => {
      const text = document.body.textContent ?? "";
      for (const p of missing) if (new RegExp(p).test(text)) missing.delete(p);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    Object.assign(globalThis, { missing });
  }, patterns);
  return () => page.waitForFunction(() => (globalThis as unknown as { missing: Set<string> }).missing.size === 0);
}

export const buyNow = (page: Page) => page.locator("button.big");
export const notice = (page: Page, kind: "good" | "bad" | "warn") => page.locator(`.notice.${kind}`);

const axe = readFileSync(path.join(root, "node_modules/axe-core/axe.min.js"), "utf8");

interface AxeResult {
  violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
}

/** Has axe check the page as it is. Its script runs beside the page's content security policy, as an extension's would. */
export async function expectAccessible(page: Page, what: string) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run: (o: object) => Promise<AxeResult> } }).axe.run({
      resultTypes: ["violations"],
    }),
  );
  const found = violations.map(
    (v) => `${v.id}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary ?? ""}`).join("\n")}`,
  );
  expect(found, what).toEqual([]);
}

/** Checks that nothing is wider than the page. */
export async function expectFits(page: Page, what: string) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow, `${what} is wider than the screen`).toBeLessThanOrEqual(0);
}
