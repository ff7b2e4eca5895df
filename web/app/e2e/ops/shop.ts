import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { createShop, type Shop } from "@spillway/client";
import { DeadLetterService } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { OpsService } from "@spillway/client/gen/spillway/v1/ops_pb";

const root = path.resolve(import.meta.dirname, "../../../..");
/** The program with the pages in it; `make build` makes it. */
const program = process.env.SPILLWAY_TEST_BIN ?? path.join(root, "bin/spillway");
const startMs = 120_000;

export interface RunningShop {
  url: string;
  /** What `make run` prints: it logs an operator in. */
  link: string;
  dataDir: string;
  customer: Shop;
  operator: Shop;
  stop: () => Promise<void>;
}

/** Starts a shop on embedded storage, and reads the link of its console from its output. */
export async function startShop(...args: string[]): Promise<RunningShop> {
  const dataDir = mkdtempSync(path.join(tmpdir(), "spillway-console-"));
  const child = spawn(program, ["all", "--listen", "127.0.0.1:0", "--admin", "", "--data-dir", dataDir, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const link = await linkOf(child);
  const { origin, hash } = new URL(link);
  const token = new URLSearchParams(hash.slice(1)).get("token") ?? "";
  return {
    url: origin,
    link,
    dataDir,
    customer: createShop({ baseUrl: origin }),
    operator: createShop({ baseUrl: origin, token }),
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      rmSync(dataDir, { recursive: true });
    },
  };
}

function linkOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    const give = (why: string) => reject(new Error(`${program}: ${why}\n${log}`));
    const timer = setTimeout(() => give("printed no link of the console"), startMs);
    child.stderr?.on("data", (text) => {
      log = (log + text).slice(-5_000);
    });
    child.once("exit", (code) => give(`ended with ${code}`));
    child.once("error", (error) => give(error.message));
    if (!child.stdout) return give("has no output");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, link] = /^Console: (\S+)$/.exec(line) ?? [];
      if (!link) return;
      clearTimeout(timer);
      resolve(link);
    });
  });
}

export const deadLettersOf = (shop: Shop) => createClient(DeadLetterService, shop.transport);
export const opsOf = (shop: Shop) => createClient(OpsService, shop.transport);

/** A bearer token of another role than the link's. */
export function tokenOf(shop: RunningShop, ...args: string[]): string {
  return execFileSync(program, ["token", "--data-dir", shop.dataDir, ...args], { encoding: "utf8" }).trim();
}

/** Buys one unit of a product, and returns the order's id. */
export async function buy(shop: Shop, sku: string, scope: string, email = "ada@example.com"): Promise<string> {
  const { orderId } = await shop.placing.place(scope, {
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
    card: { number: "4242424242424242", cvv: "123", expiryYear: 2090, expiryMonth: 12 },
  });
  return orderId;
}

/** A mail server on this machine that refuses one recipient for good, and keeps whom it took mails for. */
export async function startMailServer(refused: string): Promise<{ port: number; taken: string[]; stop: () => void }> {
  const taken: string[] = [];
  const server = createServer((socket) => {
    let data = false;
    let to = "";
    socket.on("error", () => undefined);
    socket.write("220 mail.test ESMTP\r\n");
    createInterface({ input: socket }).on("line", (line) => {
      const reply = (text: string) => socket.write(`${text}\r\n`);
      if (data) {
        if (line !== ".") return;
        data = false;
        taken.push(to);
        return reply("250 taken");
      }
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === "EHLO") return reply("250-mail.test\r\n250 8BITMIME");
      if (verb === "RCPT") {
        to = /<(.*?)>/.exec(line)?.[1] ?? "";
        return reply(to === refused ? "550 5.1.1 no such mailbox" : "250 ok");
      }
      if (verb === "DATA") {
        data = true;
        return reply("354 go on");
      }
      if (verb === "QUIT") return reply("221 bye");
      return reply("250 ok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("the mail server has no port");
  return { port: address.port, taken, stop: () => server.close() };
}
