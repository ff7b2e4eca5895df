import { defineConfig } from "vitest/config";
import { texts } from "./texts.ts";

export default defineConfig({
  plugins: [texts()],
  resolve: { conditions: ["spillway-source"] },
  ssr: { resolve: { conditions: ["spillway-source"] } },
  // The first check of a form compiles its rules, which takes seconds where all cores are busy.
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
