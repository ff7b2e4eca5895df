/** Where what must survive a reload is kept: localStorage in a page, a file or a map elsewhere. */
export interface Store {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** A store that lasts as long as the process. */
export function memoryStorage(): Store {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/** Runs one function of a name at a time, over all tabs where the browser can do that, otherwise in this process. */
export async function exclusively<T>(name: string, run: () => Promise<T>): Promise<T> {
  const locks = typeof navigator === "undefined" ? undefined : navigator.locks;
  if (locks) return await locks.request(name, run);
  const before = queues.get(name);
  const mine = (async () => {
    await before?.catch(() => undefined);
    return await run();
  })();
  queues.set(name, mine);
  try {
    return await mine;
  } finally {
    if (queues.get(name) === mine) queues.delete(name);
  }
}

const queues = new Map<string, Promise<unknown>>();
