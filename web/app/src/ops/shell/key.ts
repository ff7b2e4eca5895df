/** A key for a change, of 128 random bits. crypto.randomUUID exists on secure pages only. */
export const freshKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
