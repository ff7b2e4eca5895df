import { TransportProvider } from "@connectrpc/connect-query";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { languageItem, loadMore, preferred, setLanguage, Texts } from "../i18n/index.js";
import { applyTheme } from "../ui/theme.js";
import "../ui/style.css";
import { App } from "./App.js";
import { shop, store } from "./api.js";
import { queries } from "./query.js";

/** The other texts are loaded this long after the first page. */
const moreDelayMs = 2_000;

applyTheme(store.getItem("spillway.theme"));
const root = document.getElementById("root");
if (root) {
  await setLanguage(preferred(store.getItem(languageItem), navigator.languages));
  createRoot(root).render(
    <StrictMode>
      <TransportProvider transport={shop.transport}>
        <QueryClientProvider client={queries}>
          <Texts>
            <App />
          </Texts>
        </QueryClientProvider>
      </TransportProvider>
    </StrictMode>,
  );
  // Those of errors, too: when they are needed, the connection may be lost.
  setTimeout(() => void loadMore(), moreDelayMs);
}
