// JSON whose numbers stay as they were written: JSON.parse would round those beyond 2^53, and an operator would send back another amount.

export type Node =
  | { kind: "object"; members: [key: string, value: Node][] }
  | { kind: "array"; items: Node[] }
  | { kind: "string"; value: string }
  /** A number as it was written, or true, false and null. */
  | { kind: "literal"; text: string };

/** Nesting beyond this is refused: the payloads of dead letters have 10 levels. */
const maxDepth = 100;

/** A syntax error with its place. */
export class JsonError extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(`${message} in line ${line}, column ${column}`);
  }
}

/** Parses a JSON document. It throws a JsonError. */
export function parse(text: string): Node {
  const reader = new Reader(text);
  const node = reader.value(0);
  reader.end();
  return node;
}

/** Writes a document with two spaces for each level. */
export function format(node: Node, indent = ""): string {
  const inner = `${indent}  `;
  switch (node.kind) {
    case "string":
      return JSON.stringify(node.value);
    case "literal":
      return node.text;
    case "array":
      if (node.items.length === 0) return "[]";
      return `[\n${node.items.map((item) => inner + format(item, inner)).join(",\n")}\n${indent}]`;
    case "object":
      if (node.members.length === 0) return "{}";
      return `{\n${node.members.map(([k, v]) => `${inner}${JSON.stringify(k)}: ${format(v, inner)}`).join(",\n")}\n${indent}}`;
  }
}

const space = /[ \t\n\r]*/y;
const literal = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings.
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  value(depth: number): Node {
    if (depth > maxDepth) throw this.error(`more than ${maxDepth} levels`);
    this.take(space);
    const next = this.text[this.at];
    if (next === "{") return { kind: "object", members: this.list("}", () => this.member(depth)) };
    if (next === "[") return { kind: "array", items: this.list("]", () => this.value(depth + 1)) };
    if (next === '"') return { kind: "string", value: this.string() };
    const text = this.take(literal);
    if (!text) throw this.error(next === undefined ? "the document ends" : "no value");
    return { kind: "literal", text };
  }

  end() {
    this.take(space);
    if (this.at < this.text.length) throw this.error("text after the document");
  }

  private member(depth: number): [string, Node] {
    this.take(space);
    const key = this.string();
    this.take(space);
    if (this.text[this.at] !== ":") throw this.error("no colon after a name");
    this.at++;
    return [key, this.value(depth + 1)];
  }

  private string(): string {
    const raw = this.take(string);
    if (!raw) throw this.error("no string in double quotes");
    return JSON.parse(raw) as string;
  }

  /** Reads what stands between brackets, separated by commas. */
  private list<T>(close: string, element: () => T): T[] {
    const out: T[] = [];
    this.at++;
    this.take(space);
    if (this.text[this.at] === close) {
      this.at++;
      return out;
    }
    for (;;) {
      out.push(element());
      this.take(space);
      const next = this.text[this.at];
      if (next !== "," && next !== close) throw this.error(`neither a comma nor ${close}`);
      this.at++;
      if (next === close) return out;
    }
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text)?.[0] ?? "";
    this.at += match.length;
    return match;
  }

  private error(message: string): JsonError {
    const before = this.text.slice(0, this.at).split("\n");
    return new JsonError(message, before.length, (before.at(-1)?.length ?? 0) + 1);
  }
}
