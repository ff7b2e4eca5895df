import { type FormEvent, useState } from "react";
import { Field } from "../shell/Dialog.tsx";
import { Failure } from "../shell/Page.tsx";
import { check, type Draft } from "./draft.ts";

interface ProductFormProps {
  start: Draft;
  isNew?: boolean;
  readOnly?: boolean;
  busy: boolean;
  error: unknown;
  onSave: (draft: Draft) => void;
}

const TEXTS: { name: keyof Draft; label: string; hint?: string; only?: "new" }[] = [
  { name: "sku", label: "SKU", hint: "It cannot be changed afterwards." },
  { name: "name", label: "Name" },
  { name: "price", label: "Price of one unit" },
  { name: "currency", label: "Currency" },
  { name: "categories", label: "Categories", hint: "With commas between them." },
  { name: "picture", label: "Picture", hint: "A path or URL." },
  { name: "maxPerCustomer", label: "Units for one customer a day", hint: "0 is no limit." },
  { name: "saleStart", label: "Sale begins", hint: "Such as 2026-12-01T09:00:00Z; empty means at once." },
  { name: "initialStock", label: "Units at first", only: "new" },
];

/** The description of a product. It checks the rules of the API before it sends. */
export function ProductForm({ start, isNew = false, readOnly, busy, error, onSave }: ProductFormProps) {
  const [d, set] = useState(start);
  const [tried, setTried] = useState(false);
  const errors = check(d, isNew);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    setTried(true);
    if (Object.keys(errors).length === 0) onSave(d);
  };
  return (
    <form className="card product" noValidate onSubmit={submit}>
      <div className="filters">
        {TEXTS.filter((t) => t.only !== "new" || isNew).map(({ name, label, hint }) => (
          <Field key={name} label={label} hint={hint} error={tried ? errors[name] : undefined}>
            {(props) => (
              <input
                {...props}
                type="text"
                readOnly={readOnly || (name === "sku" && !isNew)}
                value={d[name]}
                onChange={(e) => set({ ...d, [name]: e.target.value })}
              />
            )}
          </Field>
        ))}
      </div>
      <Field label="Description" error={tried ? errors.description : undefined}>
        {(props) => (
          <textarea
            {...props}
            rows={4}
            readOnly={readOnly}
            value={d.description}
            onChange={(e) => set({ ...d, description: e.target.value })}
          />
        )}
      </Field>
      {error ? <Failure error={error} /> : null}
      {!readOnly && (
        <button type="submit" className="primary" disabled={busy}>
          {isNew ? "Create" : "Save"}
        </button>
      )}
    </form>
  );
}
