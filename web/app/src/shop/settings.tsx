import { clockOffset } from "@spillway/client";
import { useQuery } from "@tanstack/react-query";
import { createContext, type ReactNode, use, useMemo, useState } from "react";
import { useTranslation } from "../i18n/index.js";
import { store } from "./api.js";

interface Settings {
  currency: string;
  setCurrency: (code: string) => void;
}

const item = "spillway.currency";
const SettingsContext = createContext<Settings>({ currency: "USD", setCurrency: () => undefined });

export function SettingsProvider({ children }: { children: ReactNode }) {
  const [currency, choose] = useState(() => store.getItem(item) ?? "EUR");
  const value = useMemo(
    () => ({
      currency,
      setCurrency: (code: string) => {
        store.setItem(item, code);
        choose(code);
      },
    }),
    [currency],
  );
  return <SettingsContext value={value}>{children}</SettingsContext>;
}

export const useSettings = () => use(SettingsContext);

/** The language in which amounts and times are written. */
export const useLocale = () => useTranslation().language;

/** What the server says about itself: how far its clock is ahead of the browser's, and whether test cards work. */
export function useServer() {
  return useQuery({
    queryKey: ["shop.json"],
    queryFn: async ({ signal }) => {
      const sent = Date.now();
      const response = await fetch("/shop.json", { signal });
      if (!response.ok) throw new Error(`shop.json: ${response.status}`);
      const { time, testCards }: { time: string; testCards: boolean } = await response.json();
      return { aheadMs: clockOffset(new Date(time), sent, Date.now()), testCards };
    },
    staleTime: 60_000,
  });
}
