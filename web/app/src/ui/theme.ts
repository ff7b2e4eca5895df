export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

/** Sets the page's colours: "light", "dark", or whatever the system has. */
export function applyTheme(theme: string | null): Theme {
  const known = THEMES.find((t) => t === theme) ?? "system";
  if (known === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = known;
  return known;
}
