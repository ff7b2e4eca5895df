import { defineConfig } from "vitest/config";

// The time is a bound for a machine with all cores busy.
export default defineConfig({ test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 } });
