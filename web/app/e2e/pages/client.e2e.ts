import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharedShop } from "../browser.ts";
import { root } from "../shop.ts";

const shop = sharedShop();
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "spillway-client-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** The first block of a language in a file of documentation, for the shop of this test. */
const example = (file: string, language: string) => {
  const block = readFileSync(path.join(root, file), "utf8").split(`\`\`\`${language}\n`)[1]?.split("```")[0] ?? "";
  return block.replace("http://localhost:8080", shop.url);
};

describe("the documentation", () => {
  it("orders with plain fetch", () => {
    writeFileSync(path.join(dir, "plain.mjs"), example("README.md", "js"));
    expect(run("node", "plain.mjs")).toMatch(/ORDER_STATE_PAID.*EUR/);
  });
});

describe("@spillway/client, packed and installed in a fresh project", () => {
  beforeAll(() => {
    const packed = execFileSync("npm", ["pack", "--silent", "--pack-destination", dir], {
      cwd: path.join(root, "web/client"),
      encoding: "utf8",
    });
    const archive = packed.trim().split("\n").at(-1) ?? "";
    writeFileSync(path.join(dir, "package.json"), JSON.stringify({ name: "fresh", private: true, type: "module" }));
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", `./${archive}`);
    writeFileSync(path.join(dir, "order.ts"), example("web/client/README.md", "ts"));
  });

  it("has types under NodeNext", () => {
    const tsc = path.join(root, "node_modules/.bin/tsc");
    const options = ["--module", "NodeNext", "--target", "ES2022", "--lib", "ES2022,DOM", "--strict", "--types", ""];
    run(tsc, ...options, "order.ts");
  });

  it("orders and watches from Node", () => {
    expect(run("node", "order.js")).toMatch(/4 €\d/);
  });

  it("is small: no validation rules", () => {
    const text = run("sh", "-c", "cat node_modules/@spillway/client/dist/gen/spillway/v1/*.js");
    expect(text).not.toContain("buf/validate");
  });
});
