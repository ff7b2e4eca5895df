import { type FormEvent, useRef, useState } from "react";
import { invalidFields } from "../../rules/check.js";
import { store } from "../api.js";
import { cardOf, type Details, keepDetails, requestOf, storedDetails } from "./details.js";

/** What the details make of an order. */
type Ordered = ReturnType<typeof requestOf> & { card: ReturnType<typeof cardOf> | undefined };

/** The details of a form, kept for the next order, and which of its fields are invalid. */
export function useDetails() {
  const [details, setDetails] = useState(() => storedDetails(store));
  const [invalid, setInvalid] = useState<ReadonlySet<string>>(new Set());
  const form = useRef<HTMLFormElement>(null);
  const change = (c: Partial<Details>) => {
    setDetails((d) => ({ ...d, ...c }));
    if (invalid.size > 0) setInvalid(invalidFields({ ...details, ...c }));
  };
  /** Places an order of valid details; otherwise goes to the first field that is not. */
  const submit = (place: (order: Ordered) => void) => (e: FormEvent) => {
    e.preventDefault();
    const bad = invalidFields(details);
    setInvalid(bad);
    if (bad.size > 0) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    keepDetails(store, details);
    place({ ...requestOf(details), card: details.payLater ? undefined : cardOf(details) });
  };
  return { form, details, invalid, change, submit };
}
