import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./ops.css";
import { App } from "./shell/App.tsx";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
