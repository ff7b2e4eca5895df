import type { Node } from "./lossless.ts";

/** Deeper members are folded at first. */
const openLevels = 2;

/** A document that can be folded. Numbers stand as they were written. */
export function Tree({ node }: { node: Node }) {
  return (
    <div className="json">
      <Value node={node} level={0} />
    </div>
  );
}

function Value({ node, level, name }: { node: Node; level: number; name?: string }) {
  const label = name === undefined ? null : <span className="key">{name}: </span>;
  if (node.kind === "string") {
    return (
      <div>
        {label}
        <span className="string">{JSON.stringify(node.value)}</span>
      </div>
    );
  }
  if (node.kind === "literal") {
    return (
      <div>
        {label}
        <span className="literal">{node.text}</span>
      </div>
    );
  }
  const children = node.kind === "array" ? node.items.map((n, i): [string, Node] => [String(i), n]) : node.members;
  const [open, close] = node.kind === "array" ? "[]" : "{}";
  if (children.length === 0) {
    return (
      <div>
        {label}
        {open}
        {close}
      </div>
    );
  }
  return (
    <details open={level < openLevels}>
      <summary>
        {label}
        {open} <span className="muted">{children.length === 1 ? "1 member" : `${children.length} members`}</span>{" "}
        {close}
      </summary>
      <div className="members">
        {children.map(([key, value], i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: members have no other identity, and never move.
          <Value key={i} node={value} level={level + 1} name={key} />
        ))}
      </div>
    </details>
  );
}
