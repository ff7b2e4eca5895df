import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { useApi } from "../shell/api.tsx";
import { Feed, type Snapshot } from "./feed.ts";

const FeedContext = createContext<Feed | undefined>(undefined);

/** Opens the one stream while the console is seen: a hidden tab holds no place among the server's watchers. */
export function FeedProvider({ children }: { children: ReactNode }) {
  const { ops } = useApi();
  // 0: as often as the server sends. A stream has no time limit of its own.
  const [feed] = useState(() => new Feed((signal) => ops.watchPipeline({}, { signal, timeoutMs: 0 })));
  useEffect(() => {
    let wanted = true;
    const follow = () => {
      if (document.hidden) {
        wanted = feed.get().state !== "paused";
        feed.pause();
      } else if (wanted) feed.resume();
    };
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      feed.pause();
    };
  }, [feed]);
  return <FeedContext.Provider value={feed}>{children}</FeedContext.Provider>;
}

export function useFeed(): Snapshot & Pick<Feed, "pause" | "resume"> {
  const feed = useContext(FeedContext);
  if (!feed) throw new Error("useFeed outside of FeedProvider");
  const snapshot = useSyncExternalStore(feed.subscribe, feed.get);
  return { ...snapshot, pause: feed.pause, resume: feed.resume };
}
