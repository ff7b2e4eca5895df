import type { ReactNode } from "react";

interface ScrollProps {
  /** What it holds, for screen readers. */
  label: string;
  card?: boolean;
  busy?: boolean;
  children: ReactNode;
}

/** Holds what may be wider than the screen. It can be focused, so that the arrow keys scroll it. */
export function Scroll({ label, card, busy, children }: ScrollProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by the keyboard.
    <section className={card ? "card scroll" : "scroll"} tabIndex={0} aria-label={label} aria-busy={busy}>
      {children}
    </section>
  );
}
