import type { DeadLetter } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { format, JsonError, parse } from "../json/lossless.ts";
import { useApi } from "../shell/api.tsx";
import { Field } from "../shell/Dialog.tsx";
import { Failure } from "../shell/Page.tsx";

/** Edits a payload as text, so that each number stays as it was written. */
export function Editor({ letter, onClose, onSaved }: { letter: DeadLetter; onClose: () => void; onSaved: () => void }) {
  const { deadLetters } = useApi();
  const [text, setText] = useState(() => pretty(letter.payloadJson));
  const [note, setNote] = useState("");
  const broken = errorOf(text);
  const save = useMutation({
    mutationFn: () => deadLetters.editDeadLetter({ id: letter.id, payloadJson: text, reason: note }),
    onSuccess: onSaved,
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (!broken) save.mutate();
  };
  return (
    <form className="card" onSubmit={submit}>
      <h2>
        Edit the payload <code>{letter.payloadType}</code>
      </h2>
      <Field label="Payload" error={broken} hint="The server refuses what could not be applied.">
        {(props) => (
          <textarea
            {...props}
            className="json"
            rows={24}
            spellCheck={false}
            value={text}
            onChange={(e) => setText(e.target.value)}
          />
        )}
      </Field>
      <Field label="Why" hint="Kept in the history, with your name.">
        {(props) => (
          <input {...props} required maxLength={200} value={note} onChange={(e) => setNote(e.target.value)} />
        )}
      </Field>
      {save.error && <Failure error={save.error} />}
      <div className="actions">
        <button type="button" onClick={onClose}>
          Back
        </button>
        <button type="submit" className="primary" disabled={!!broken || save.isPending}>
          Save
        </button>
      </div>
    </form>
  );
}

function pretty(text: string): string {
  try {
    return format(parse(text));
  } catch {
    return text;
  }
}

function errorOf(text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    return error instanceof JsonError ? error.message : "This is no JSON.";
  }
}
