import type { Product } from "@spillway/client/gen/spillway/v1/catalog_pb";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useApi } from "../shell/api.tsx";
import { Dialog, Field } from "../shell/Dialog.tsx";
import { count } from "../shell/format.ts";
import { freshKey } from "../shell/key.ts";

const maxDelta = 1_000_000_000;

/** Adds units to a product's stock, or removes unsold ones. */
export function AdjustDialog({
  product: p,
  onClose,
  onDone,
}: {
  product: Product;
  onClose: () => void;
  onDone: () => void;
}) {
  const { catalog } = useApi();
  const [delta, setDelta] = useState("");
  const [reason, setReason] = useState("");
  // One id for this dialog: a second click, or a retry after a lost response, is the same adjustment.
  const [adjustmentId] = useState(freshKey);
  const adjust = useMutation({
    mutationFn: () => catalog.adjustStock({ sku: p.sku, delta: BigInt(delta), reason, adjustmentId }),
    onSuccess: onDone,
  });
  const wrong = wrongDelta(delta);
  const after = !wrong && delta ? p.available + BigInt(delta) : undefined;
  return (
    <Dialog
      title={`Adjust the stock of ${p.sku}`}
      action={delta.startsWith("-") ? "Remove units" : "Add units"}
      danger={delta.startsWith("-")}
      busy={adjust.isPending}
      error={adjust.error}
      onSubmit={() => !wrong && delta && adjust.mutate()}
      onClose={onClose}
    >
      <p>
        {p.name}: {count(p.available)} available{after !== undefined && <>, then about {count(after)}</>}.
      </p>
      <Field label="Units" hint="How many to add; negative to remove unsold ones." error={wrong}>
        {(props) => (
          <input
            {...props}
            required
            inputMode="numeric"
            value={delta}
            onChange={(e) => setDelta(e.target.value.trim())}
          />
        )}
      </Field>
      <Field label="Why" hint="Kept with the adjustment.">
        {(props) => (
          <input {...props} required maxLength={200} value={reason} onChange={(e) => setReason(e.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}

export function wrongDelta(text: string): string | undefined {
  if (text === "" || text === "-") return undefined;
  if (!/^-?\d{1,10}$/.test(text)) return "A whole number.";
  const n = Number(text);
  if (n === 0) return "Not 0.";
  return Math.abs(n) > maxDelta ? "At most 1,000,000,000 units at once." : undefined;
}
