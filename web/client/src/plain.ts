/** A message as JSON.stringify can take it. */
export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/**
 * Makes plain values of a message: 64-bit numbers become decimal strings, times ISO 8601, bytes base64; names of types and unset fields are left out.
 * For showing and logging; to read a message back, use toJson and fromJson of @bufbuild/protobuf with its schema.
 */
export function plain(value: unknown): Plain {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return btoa(String.fromCharCode(...value));
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || value === undefined) return null;
  if (typeof value === "object") return plainObject(value as Record<string, unknown>);
  return value as boolean | number | string;
}

function plainObject(message: Record<string, unknown>): Plain {
  if (message.$typeName === "google.protobuf.Timestamp") {
    return new Date(Number(message.seconds) * 1000 + Math.floor(Number(message.nanos) / 1e6)).toISOString();
  }
  const out: { [key: string]: Plain } = {};
  for (const [key, value] of Object.entries(message)) {
    if (!key.startsWith("$") && value !== undefined) out[key] = plain(value);
  }
  return out;
}
