/** Who uses the console: the token that the link of `make run` carries, or that was pasted. It lasts as long as the tab. */
export interface Session {
  token: string;
  /** The name that changes are recorded under. */
  operator: string;
  /** Whether the token allows changes. A token that only reads sees no buttons that change anything. */
  canChange: boolean;
  expireMs: number;
}

const item = "spillway.operator";

/** Reads what a token states, without checking it: the server does that. Undefined if it is no token. */
export function parseToken(token: string): Session | undefined {
  const [, payload = ""] = token.trim().split(".");
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const claims: { sub?: unknown; roles?: unknown; exp?: unknown } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims.sub !== "string" || !claims.sub) return undefined;
    const roles = Array.isArray(claims.roles) ? claims.roles : [];
    return {
      token: token.trim(),
      operator: claims.sub,
      canChange: roles.includes("operator"),
      expireMs: typeof claims.exp === "number" ? claims.exp * 1000 : Number.POSITIVE_INFINITY,
    };
  } catch {
    return undefined;
  }
}

/** The token of a link such as /ops#token=…, and the link without it. A fragment is never sent to a server. */
export function tokenOf(hash: string): string | undefined {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token") ?? undefined;
}

/** The session of the link, or the one that this tab has. The token leaves the address bar and the history at once. */
export function openSession(): Session | undefined {
  const linked = tokenOf(location.hash);
  if (linked) {
    history.replaceState(history.state, "", location.pathname + location.search);
    const session = parseToken(linked);
    if (session) storeSession(session);
  }
  return parseToken(sessionStorage.getItem(item) ?? "");
}

export function storeSession(session: Session) {
  sessionStorage.setItem(item, session.token);
}

export function closeSession() {
  sessionStorage.removeItem(item);
}
