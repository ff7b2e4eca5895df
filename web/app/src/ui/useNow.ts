import { useEffect, useState } from "react";

/** The browser's clock in milliseconds, which renders anew in each interval, while it is wanted. */
export function useNow(intervalMs: number, wanted = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(() => setNow(Date.now()), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs, wanted]);
  return now;
}
