import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

function Shop() {
  return (
    <main>
      <h1>Spillway</h1>
    </main>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Shop />
    </StrictMode>,
  );
}
