import path from "node:path";
import { defineConfig } from "vitest/config";

const client = path.join(import.meta.dirname, "../../client/src");

// The files share a shop and a browser, and each test has a product of its own there, so that files run in parallel: pages wait most of
// the time. The times are bounds for a machine with all cores busy.
export default defineConfig({
  // The setup is resolved without conditions, and the package's dist is not there before it is packed.
  resolve: {
    alias: [
      { find: /^@spillway\/client$/, replacement: `${client}/index.ts` },
      { find: /^@spillway\/client\/gen\/(.*)$/, replacement: `${client}/gen/$1.ts` },
    ],
  },
  test: {
    // Pages look the same on any storage.
    include: process.env.SPILLWAY_E2E_STORAGE ? ["e2e/paths/*.e2e.ts"] : ["e2e/**/*.e2e.ts"],
    globalSetup: "e2e/setup.ts",
    maxWorkers: 3,
    testTimeout: 600_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
  },
});
