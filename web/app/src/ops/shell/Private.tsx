import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import { masked } from "./format.ts";

interface Privacy {
  shown: boolean;
  toggle: () => void;
}

const PrivacyContext = createContext<Privacy>({ shown: false, toggle: () => undefined });

/** Hides personal data on one page until it is asked for. The next page hides it again. */
export function PrivacyProvider({ children }: { children: ReactNode }) {
  const [shown, setShown] = useState(false);
  const value = useMemo(() => ({ shown, toggle: () => setShown((s) => !s) }), [shown]);
  return <PrivacyContext.Provider value={value}>{children}</PrivacyContext.Provider>;
}

/** A name, a mail address or a street. */
export function Private({ text }: { text: string }) {
  const { shown } = useContext(PrivacyContext);
  return <span className="private">{shown ? text : masked(text)}</span>;
}

export function PrivacyButton() {
  const { shown, toggle } = useContext(PrivacyContext);
  return (
    <button type="button" aria-pressed={shown} onClick={toggle}>
      {shown ? "Hide personal data" : "Show personal data"}
    </button>
  );
}

export const usePrivacy = (): boolean => useContext(PrivacyContext).shown;
