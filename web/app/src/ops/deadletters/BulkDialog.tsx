import { useState } from "react";
import { Link } from "wouter";
import { useApi } from "../shell/api.tsx";
import { Dialog, Field } from "../shell/Dialog.tsx";
import { inBulk, type Progress } from "./bulk.ts";

interface BulkDialogProps {
  action: "replay" | "discard";
  ids: readonly bigint[];
  onClose: () => void;
  onDone: () => void;
}

/** Asks before dead letters are replayed or discarded, can try it first, and shows each that failed. */
export function BulkDialog({ action, ids, onClose, onDone }: BulkDialogProps) {
  const { deadLetters } = useApi();
  const [note, setNote] = useState("");
  const [progress, setProgress] = useState<Progress & { dryRun: boolean }>();
  const [busy, setBusy] = useState(false);
  const verb = action === "replay" ? "Replay" : "Discard";
  const what = ids.length === 1 ? "1 dead letter" : `${ids.length} dead letters`;
  const run = async (dryRun: boolean) => {
    setBusy(true);
    const call = (batch: bigint[]) =>
      action === "replay"
        ? deadLetters.replayDeadLetters({ ids: batch, note, dryRun })
        : deadLetters.discardDeadLetters({ ids: batch, reason: note, dryRun });
    const { failed } = await inBulk(ids, call, (p) => setProgress({ ...p, dryRun }));
    setBusy(false);
    if (failed.length === 0 && !dryRun) onDone();
  };
  const finished = progress && !progress.dryRun && !busy;
  return (
    <Dialog
      title={`${verb} ${what}?`}
      action={finished ? "Close" : `${verb} ${what}`}
      danger={action === "discard" && !finished}
      busy={busy}
      onSubmit={() => (finished ? onDone() : void run(false))}
      onClose={finished ? onDone : onClose}
    >
      <p>
        {action === "replay"
          ? "Each payload is applied as if it arrived for the first time. Replaying one twice changes nothing."
          : "Each is closed without being applied. That cannot be undone."}
      </p>
      <Field label="Why" hint="Kept in the history of each, with your name.">
        {(props) => (
          <input
            {...props}
            required={action === "discard"}
            maxLength={200}
            value={note}
            onChange={(e) => setNote(e.target.value)}
          />
        )}
      </Field>
      {action === "replay" && !finished && (
        <button type="button" disabled={busy} onClick={() => void run(true)}>
          Dry run
        </button>
      )}
      {progress && <Outcome progress={progress} />}
    </Dialog>
  );
}

function Outcome({ progress: p }: { progress: Progress & { dryRun: boolean } }) {
  const good = p.done - p.failed.length;
  return (
    <>
      <p role="status" className={`notice ${p.failed.length > 0 ? "bad" : "good"}`}>
        {p.done} of {p.total} done: {good}{" "}
        {p.dryRun ? "can be replayed, as far as can be told without doing it" : "succeeded"}, {p.failed.length}{" "}
        {p.dryRun ? "cannot" : "failed"}.
      </p>
      {p.failed.length > 0 && (
        <ul className="failures">
          {p.failed.map(({ id, message }) => (
            <li key={String(id)}>
              <Link href={`/dead-letters/${id}`}>{String(id)}</Link>: {message}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
