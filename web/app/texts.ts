import { compileMessage } from "@lingui/message-utils/compileMessage";
import type { Plugin } from "vite";

interface Tree {
  [key: string]: string | Tree;
}

/** The texts by their full keys, such as "nav.cart". */
export function flatten(tree: Tree, prefix = ""): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") out[prefix + key] = value;
    else Object.assign(out, flatten(value, `${prefix}${key}.`));
  }
  return out;
}

/** Compiles the texts of src/i18n when the pages are built, so that no page needs a parser for them. */
export function texts(): Plugin {
  return {
    name: "texts",
    enforce: "pre",
    transform: {
      filter: { id: /\/src\/i18n\/[^/]+\.json$/ },
      handler(code) {
        const compiled = Object.entries(flatten(JSON.parse(code))).map(([key, text]) => [key, compileMessage(text)]);
        return { code: JSON.stringify(Object.fromEntries(compiled)), map: null };
      },
    },
  };
}
