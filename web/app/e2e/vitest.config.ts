import { defineConfig } from "vitest/config";

// One file at a time: each starts a shop and a browser of its own. The times are bounds for a machine with all cores busy.
export default defineConfig({
  resolve: { conditions: ["spillway-source"] },
  ssr: { resolve: { conditions: ["spillway-source"] } },
  test: {
    include: ["e2e/**/*.e2e.ts", "e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
