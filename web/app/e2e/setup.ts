import { execFileSync } from "node:child_process";
import path from "node:path";
import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";
import { startMailServer } from "./mails.ts";
import { type Address, patienceMs, reconcileAfterMs, root, startShop } from "./shop.ts";

declare module "vitest" {
  export interface ProvidedContext {
    shop: Address;
    /** Where the browser is controlled. */
    browser: string;
    /** See MailServer. */
    mails: string;
  }
}

/** Where the links of traces lead. */
const traceUrl = "https://traces.example/trace/{trace}";

/** Has orders traced. No collector takes the traces, which costs nothing. */
const traced = {
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
  OTEL_METRICS_EXPORTER: "none",
  OTEL_LOGS_EXPORTER: "none",
};

/** Debian's Chromium. As root it has no sandbox, and containers have little /dev/shm. */
export function launchOptions() {
  const executablePath = execFileSync(path.join(root, "deploy/native/chromium.sh"), ["find"], { encoding: "utf8" });
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
  return { executablePath: executablePath.trim(), args, timeout: 2 * patienceMs };
}

/** Starts what all files share: a shop, its mail server and a browser. */
export default async function setup({ provide }: TestProject) {
  const mails = await startMailServer();
  const smtp = ["--smtp-host", "127.0.0.1", "--smtp-port", String(mails.port), "--smtp-plain"];
  const [shop, browser] = await Promise.all([
    startShop([...smtp, "--trace-url", traceUrl, "--reconcile-after", `${reconcileAfterMs}ms`], traced),
    chromium.launchServer(launchOptions()),
  ]);
  provide("shop", shop.address);
  provide("browser", browser.wsEndpoint());
  provide("mails", mails.taken);
  return async () => {
    await Promise.all([shop.stop(), browser.close()]);
    mails.stop();
  };
}
