import { OrderState } from "@spillway/client/gen/spillway/v1/order_pb";
import { type FormEvent, useState } from "react";
import { Field } from "../shell/Dialog.tsx";
import { words } from "../shell/format.ts";
import { type Filters, filtersOf, STATES } from "./filters.ts";

const TEXTS = [
  { name: "order", label: "Order id" },
  { name: "customer", label: "Customer id" },
  { name: "email", label: "E-mail" },
  { name: "sku", label: "SKU" },
] as const;

/** The filters. They are applied when the form is sent, and are in the address from then on. */
export function FilterForm({ filters, onSearch }: { filters: Filters; onSearch: (f: Filters) => void }) {
  const [f, set] = useState(filters);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    onSearch(f);
  };
  return (
    <search aria-label="Orders">
      <form className="card" onSubmit={submit}>
        <div className="filters">
          {TEXTS.map(({ name, label }) => (
            <Field key={name} label={label}>
              {(props) => (
                <input
                  {...props}
                  type="text"
                  autoComplete="off"
                  spellCheck={false}
                  value={f[name]}
                  onChange={(e) => set({ ...f, [name]: e.target.value })}
                />
              )}
            </Field>
          ))}
          <Field label="Placed from">
            {(props) => (
              <input
                {...props}
                type="datetime-local"
                value={f.from}
                onChange={(e) => set({ ...f, from: e.target.value })}
              />
            )}
          </Field>
          <Field label="Placed before">
            {(props) => (
              <input
                {...props}
                type="datetime-local"
                value={f.to}
                onChange={(e) => set({ ...f, to: e.target.value })}
              />
            )}
          </Field>
        </div>
        <fieldset>
          <legend>State</legend>
          {STATES.map((s) => (
            <label key={s}>
              <input
                type="checkbox"
                checked={f.states.includes(s)}
                onChange={(e) =>
                  set({ ...f, states: e.target.checked ? [...f.states, s] : f.states.filter((other) => other !== s) })
                }
              />{" "}
              {words(OrderState[s])}
            </label>
          ))}
        </fieldset>
        <div className="actions">
          <button type="submit" className="primary">
            Search
          </button>
          <button type="button" onClick={() => onSearch(filtersOf(new URLSearchParams()))}>
            Clear
          </button>
        </div>
      </form>
    </search>
  );
}
