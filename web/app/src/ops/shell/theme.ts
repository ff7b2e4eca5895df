import { useEffect, useState } from "react";

const item = "spillway.theme";
const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const stored = (): Theme => {
  try {
    return THEMES.find((t) => t === localStorage.getItem(item)) ?? "system";
  } catch {
    return "system"; // The browser forbids storage.
  }
};

/** The colours: those of the system, or those that were chosen. */
export function useTheme(): [theme: Theme, next: () => void] {
  const [theme, setTheme] = useState(stored);
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(item, theme);
    } catch {
      // The choice lasts until the page is left.
    }
  }, [theme]);
  return [theme, () => setTheme((t) => THEMES[(THEMES.indexOf(t) + 1) % THEMES.length] ?? "system")];
}
