import { defineConfig } from "vitest/config";

// Takes pictures instead of testing: `npm run pictures --workspace web/app`, after `make build`.
export default defineConfig({
  resolve: { conditions: ["spillway-source"] },
  ssr: { resolve: { conditions: ["spillway-source"] } },
  test: {
    include: ["e2e/pictures/*.pictures.ts"],
    globalSetup: "e2e/setup.ts",
    maxWorkers: 2,
    testTimeout: 900_000,
    hookTimeout: 180_000,
  },
});
