import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { type Shop as Client, createShop } from "@spillway/client";
import { DeadLetterService } from "@spillway/client/gen/spillway/v1/dead_letter_pb";

export const root = path.join(import.meta.dirname, "../../..");
/** The program with the pages in it; `make build` makes it. */
export const program = process.env.SPILLWAY_TEST_BIN ?? path.join(root, "bin/spillway");
/** How long a start, or a step of a page, may take where all cores are busy. */
export const patienceMs = 60_000;
const pollMs = 100;
/** How old an order of unknown outcome must be until the shared shop looks for its outcome. A checkout may take 15 s. */
export const reconcileAfterMs = 16_000;

/** Flags that name other storage than the embedded one, as test/e2e sets them. All shops of a run have them. */
const storage: string[] = JSON.parse(process.env.SPILLWAY_E2E_STORAGE ?? "[]");
/** Whether the shops have their storage in servers, and not in their own process. */
export const onServers = storage.length > 0;

/** Limits of customers that would be in the way: those of the tests buy much. */
export const unlimited = [
  ["--session-rate", "0"],
  ["--units-window", "0s"],
  ["--unpaid-orders", "0"],
  ["--unpaid-share", "0"],
  ["--customer-orders", "0"],
  ["--customer-reads", "0"],
  ["--mail-recipient-limit", "0"],
  ["--customer-writes", "0"],
].flat();

/** Where a shop is, for the processes of the tests. */
export interface Address {
  url: string;
  /** An operator's. */
  token: string;
  dataDir: string;
  /** What the program printed to log an operator in; undefined on servers. */
  link?: string;
}

/** A running shop, as its customers and its operator see it. */
export class Shop {
  readonly url: string;
  readonly customer: Client;
  readonly operator: Client;

  constructor(readonly address: Address) {
    this.url = address.url;
    this.customer = createShop({ baseUrl: this.url });
    this.operator = createShop({ baseUrl: this.url, token: address.token });
  }

  get deadLetters() {
    return createClient(DeadLetterService, this.operator.transport);
  }

  /** Makes a product that no other test has, with so many units. */
  async product(units: number, name = "Lantern"): Promise<string> {
    const sku = `E2E-${randomBytes(4).toString("hex").toUpperCase()}`;
    const price = { currencyCode: "EUR", units: 12n };
    await this.operator.catalog.createProduct({ product: { sku, name, price }, initialStock: BigInt(units) });
    return sku;
  }

  /** Sets when the sale of a product begins; without a time, it can be bought at once. */
  async beginSale(sku: string, at?: Date) {
    const product = { sku, saleStartTime: at && timestampFromDate(at) };
    await this.operator.catalog.updateProduct({ product, updateMask: { paths: ["sale_start_time"] } });
  }

  async available(sku: string): Promise<number> {
    const { product } = await this.operator.catalog.getProduct({ sku });
    return Number(product?.available ?? 0n);
  }

  /** Has all but a few units of a product sold, as it were. */
  async leave(sku: string, units: number) {
    const delta = BigInt(units - (await this.available(sku)));
    const adjustmentId = randomBytes(8).toString("hex");
    await this.operator.catalog.adjustStock({ sku, delta, reason: "test", adjustmentId });
  }

  /** Buys one unit of a product, and returns the order's id. */
  async buy(sku: string, email = "ada@example.com", card = "4242424242424242"): Promise<string> {
    const { orderId } = await this.customer.placing.place(randomBytes(8).toString("hex"), {
      lines: [{ sku, quantity: 1 }],
      currencyCode: "EUR",
      email,
      shippingAddress: {
        name: "Ada Lovelace",
        street: "Spillway 1",
        city: "Berlin",
        postalCode: "10115",
        countryCode: "DE",
      },
      card: { number: card, cvv: "123", expiryYear: 2090, expiryMonth: 12 },
    });
    return orderId;
  }

  /** A link that logs into the console with a token of other roles than the operator's. */
  linkFor(...args: string[]): string {
    return `${this.url}/ops#token=${mint(this.address.dataDir, ...args)}`;
  }

  /** A link that logs the operator in. */
  get link(): string {
    return `${this.url}/ops#token=${this.address.token}`;
  }
}

/** A shop in a process and a folder that end with it. */
export interface StartedShop extends Shop {
  stop: () => Promise<void>;
}

export async function startShop(flags: string[], env: Record<string, string> = {}): Promise<StartedShop> {
  const dataDir = mkdtempSync(path.join(tmpdir(), "spillway-e2e-"));
  const listen = `127.0.0.1:${await freePort()}`;
  const args = ["all", "--data-dir", dataDir, "--listen", listen, "--admin", "", ...storage, ...unlimited, ...flags];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const link = onServers ? undefined : consoleLink(child);
  await ready(`http://${listen}`, child);
  const token = mint(dataDir, "--customer", "e2e", "--role", "operator");
  const shop = new Shop({ url: `http://${listen}`, token, dataDir, link: await link });
  const stop = async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // What a shop does with SIGTERM takes its time, and test/e2e tests it.
    child.kill("SIGKILL");
    await ended;
    rmSync(dataDir, { recursive: true, force: true });
  };
  return Object.assign(shop, { stop });
}

async function ready(url: string, child: ChildProcess) {
  let log = "";
  child.stderr?.on("data", (data) => {
    log = (log + data).slice(-20_000);
  });
  const isReady = () =>
    fetch(`${url}/readyz`).then(
      (r) => r.ok,
      () => false,
    );
  for (const until = Date.now() + patienceMs; !(await isReady()); ) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`the shop did not start:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function consoleLink(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve(undefined));
    if (!child.stdout) return resolve(undefined);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, link] = /^Console: (\S+)$/.exec(line) ?? [];
      if (link) resolve(link);
    });
  });
}

function mint(dataDir: string, ...args: string[]): string {
  return execFileSync(program, ["token", "--data-dir", dataDir, ...args], { encoding: "utf8" }).trim();
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
