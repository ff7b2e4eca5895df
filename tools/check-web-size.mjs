// Fails if the scripts that the shop loads before its first page is shown are larger than they may be, gzipped as they are sent: those of
// index.html, of the home page, and its texts in one language, with all that they import. Usage: node tools/check-web-size.mjs
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const maxBytes = 130_000;
const dist = new URL("../web/app/dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("manifest.json", dist), "utf8"));

const files = new Map();
function add(name) {
  const chunk = manifest[name];
  if (!chunk) throw new Error(`the build has no ${name}`);
  if (files.has(chunk.file)) return;
  files.set(chunk.file, gzipSync(readFileSync(new URL(chunk.file, dist)), { level: 9 }).length);
  for (const other of chunk.imports ?? []) add(other);
}
for (const name of ["index.html", "src/shop/home/Home.tsx", "src/i18n/en.json"]) add(name);

const sum = [...files.values()].reduce((a, b) => a + b, 0);
for (const [file, size] of [...files].sort(([, a], [, b]) => b - a)) console.log(String(size).padStart(7), file);
console.log(`The shop's scripts at first load have ${sum} of at most ${maxBytes} bytes, gzipped.`);
if (sum > maxBytes) process.exit(1);
