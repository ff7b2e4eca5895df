import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const root = path.join(import.meta.dirname, "../../..");
const binary = path.join(root, "bin/spillway");
/** How long a start, or a step of a page, may take where all cores are busy. */
export const patienceMs = 60_000;

/** A shop of its own on embedded storage, in a process and a folder that end with it. */
export class Shop {
  private constructor(
    readonly url: string,
    private readonly dir: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(...flags: string[]): Promise<Shop> {
    const dir = mkdtempSync(path.join(tmpdir(), "spillway-e2e-"));
    const listen = `127.0.0.1:${await freePort()}`;
    const args = ["all", "--data-dir", dir, "--listen", listen, "--admin", "", "--session-rate", "0", ...flags];
    const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    child.stderr?.on("data", (data) => {
      log = (log + data).slice(-20_000);
    });
    const shop = new Shop(`http://${listen}`, dir, child);
    const until = Date.now() + patienceMs;
    while (
      !(await fetch(`${shop.url}/readyz`).then(
        (r) => r.ok,
        () => false,
      ))
    ) {
      if (child.exitCode !== null || Date.now() > until) throw new Error(`the shop did not start:\n${log}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return shop;
  }

  /** Sells all but a few units of a product, as its operator: one of this test. */
  async leave(sku: string, units: number) {
    const { product } = await this.call("CatalogService/GetProduct", { sku });
    const delta = units - Number(product.available ?? 0);
    if (delta === 0) return;
    const adjustmentId = `e2e-${Math.random()}`;
    await this.call("CatalogService/AdjustStock", { sku, delta, reason: "test", adjustmentId }, this.operator());
  }

  /** Sets when the sale of a product begins; without a time, it can be bought at once. */
  async beginSale(sku: string, at?: Date) {
    const product = { sku, saleStartTime: at?.toISOString() };
    await this.call("CatalogService/UpdateProduct", { product, updateMask: "saleStartTime" }, this.operator());
  }

  private operator(): string {
    return execFileSync(binary, ["token", "--data-dir", this.dir, "--customer", "e2e", "--role", "operator"])
      .toString()
      .trim();
  }

  async available(sku: string): Promise<number> {
    const { product } = await this.call("CatalogService/GetProduct", { sku });
    return Number(product.available ?? 0);
  }

  // biome-ignore lint/suspicious/noExplicitAny: JSON of any call
  private async call(procedure: string, body: object, token?: string): Promise<any> {
    const response = await fetch(`${this.url}/spillway.v1.${procedure}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${procedure}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    await ended;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Debian's Chromium. */
export function startBrowser(): Promise<Browser> {
  const executablePath = execFileSync(path.join(root, "deploy/native/chromium.sh"), ["find"]).toString().trim();
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A new customer: a browser profile of its own. A violation of the content security policy, or an error of a script, fails the test. */
export async function customer(
  browser: Browser,
  shop: Shop,
  options: BrowserContextOptions = {},
): Promise<{ context: BrowserContext; page: Page; errors: string[] }> {
  const context = await browser.newContext({ baseURL: shop.url, locale: "en", ...options });
  context.setDefaultTimeout(patienceMs);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" && /Content.Security|Uncaught/i.test(m.text())) errors.push(m.text());
  });
  return { context, page, errors };
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
