import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

const root = path.resolve(import.meta.dirname, "../../../..");
/** A busy machine may take this long for one step of a page. */
export const stepMs = 60_000;

export async function launch(): Promise<Browser> {
  const executablePath = execFileSync(path.join(root, "deploy/native/chromium.sh"), ["find"], {
    encoding: "utf8",
  }).trim();
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** Opens the console by its link. A page that logs an error, or breaks the content security policy, fails the test. */
export async function open(
  browser: Browser,
  link: string,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<Page> {
  const context: BrowserContext = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  context.setDefaultTimeout(stepMs);
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // A refused call is what some tests are about: the page shows it.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) errors.push(message.text());
  });
  await page.goto(link);
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  return page;
}

const errors: string[] = [];

/** Checks that no page has logged an error since the last call. */
export function expectNoErrors() {
  expect(errors.splice(0)).toEqual([]);
}

const axeSource = readFileSync(path.join(root, "node_modules/axe-core/axe.min.js"), "utf8");

interface AxeResult {
  violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
}

/** Has axe check the page as it is. Its script runs beside the page's content security policy, as an extension's would. */
export async function expectAccessible(page: Page, what: string) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run: () => Promise<AxeResult> } }).axe.run(),
  );
  const found = violations.map(
    (v) => `${v.id}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary ?? ""}`).join("\n")}`,
  );
  expect(found, what).toEqual([]);
}
