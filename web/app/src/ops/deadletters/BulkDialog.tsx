import { useState } from "react";
import { Link } from "wouter";
import { useApi } from "../shell/api.tsx";
import { Dialog, Field } from "../shell/Dialog.tsx";
import { forEach, type Progress } from "./bulk.ts";

interface BulkDialogProps {
  action: "replay" | "discard";
  ids: readonly bigint[];
  onClose: () => void;
  onDone: () => void;
}

/** Asks before several dead letters are replayed or discarded, and shows what became of each that failed. */
export function BulkDialog({ action, ids, onClose, onDone }: BulkDialogProps) {
  const { deadLetters } = useApi();
  const [note, setNote] = useState("");
  const [progress, setProgress] = useState<Progress>();
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    const call =
      action === "replay"
        ? (id: bigint) => deadLetters.replayDeadLetter({ id })
        : (id: bigint) => deadLetters.discardDeadLetter({ id, reason: note });
    const { failed } = await forEach(ids, call, setProgress);
    setBusy(false);
    if (failed.length === 0) onDone();
  };
  const finished = progress && !busy;
  const what = ids.length === 1 ? "1 dead letter" : `${ids.length} dead letters`;
  return (
    <Dialog
      title={`${action === "replay" ? "Replay" : "Discard"} ${what}?`}
      action={finished ? "Close" : `${action === "replay" ? "Replay" : "Discard"} ${what}`}
      danger={action === "discard" && !finished}
      busy={busy}
      onSubmit={() => (finished ? onDone() : void run())}
      onClose={finished ? onDone : onClose}
    >
      {action === "replay" ? (
        <p>Each payload is applied as if it arrived for the first time. Replaying one twice changes nothing.</p>
      ) : (
        <>
          <p>Each is closed without being applied. That cannot be undone.</p>
          <Field label="Why" hint="Kept in the history of each, with your name.">
            {(props) => (
              <input {...props} required maxLength={200} value={note} onChange={(e) => setNote(e.target.value)} />
            )}
          </Field>
        </>
      )}
      {progress && (
        <div role="status">
          <progress value={progress.done} max={progress.total} aria-label="Done" /> {progress.done} of {progress.total},{" "}
          {progress.failed.length} failed
        </div>
      )}
      {progress && progress.failed.length > 0 && (
        <ul className="failures">
          {progress.failed.map(({ id, problem }) => (
            <li key={String(id)}>
              <Link href={`/dead-letters/${id}`}>{String(id)}</Link>: {problem.message}
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
