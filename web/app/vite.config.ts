import { promises as fs } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin, type PluginOption } from "vite";
import { texts } from "./texts.ts";

/** The bytes from which a compressed copy is written: a smaller file fits into one packet anyway. */
const compressMinBytes = 1200;

/** Writes a gzipped copy beside each text file, which the server sends to browsers that accept it. */
function compressed(): Plugin {
  let outDir = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      outDir = path.resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const entry of await fs.readdir(outDir, { recursive: true, withFileTypes: true })) {
        const file = path.join(entry.parentPath, entry.name);
        if (!entry.isFile() || !/\.(html|js|css|svg|json)$/.test(entry.name)) continue;
        const content = await fs.readFile(file);
        if (content.length >= compressMinBytes) await fs.writeFile(`${file}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

// tsc gives up on comparing the options of plugins with those of the bundler, which are nested without an end.
const plugins: PluginOption = [react() as unknown as Plugin, texts(), compressed()];

const shop = process.env.SPILLWAY_URL ?? "http://localhost:8080";
const proxy = { target: shop, changeOrigin: true };

// `npm run dev` serves the pages with hot reload and sends the calls to a running shop.
export default defineConfig({
  plugins,
  resolve: { conditions: ["spillway-source", "module", "browser", "development|production"] },
  build: {
    target: "es2022",
    // Read by tools/check-web-size.mjs.
    manifest: "manifest.json",
    // The content security policy has no data: for scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: ["index.html", "ops.html"],
      output: {
        // What each page needs is one file: many small ones compress worse, and are a request each.
        codeSplitting: {
          groups: [
            {
              name: "vendor",
              test: /node_modules[\\/](react|react-dom|scheduler|@connectrpc|@bufbuild[\\/]protobuf|@tanstack|wouter|regexparam|@lingui)[\\/]/,
            },
          ],
        },
      },
    },
  },
  server: { proxy: { "^/spillway\\.v1\\.": proxy, "/shop.json": proxy } },
});
