import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

function Console() {
  return (
    <main>
      <h1>Spillway console</h1>
    </main>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Console />
    </StrictMode>,
  );
}
