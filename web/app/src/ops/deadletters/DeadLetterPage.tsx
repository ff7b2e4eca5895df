import { type DeadLetter, DeadLetterStatus } from "@spillway/client/gen/spillway/v1/dead_letter_pb";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "wouter";
import { parse } from "../json/lossless.ts";
import { Tree } from "../json/Tree.tsx";
import { useApi } from "../shell/api.tsx";
import { moment, unknown, words } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { PrivacyButton, usePrivacy } from "../shell/Private.tsx";
import { TraceLink } from "../shell/TraceLink.tsx";
import { BulkDialog } from "./BulkDialog.tsx";
import { Editor } from "./Editor.tsx";

/** One dead letter: why it failed, its payload, and what was done about it. */
export function DeadLetterPage() {
  const { id = "" } = useParams();
  const { deadLetters, session } = useApi();
  const client = useQueryClient();
  const key = ["dead letter", id];
  const read = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => deadLetters.getDeadLetter({ id: BigInt(id) }, { signal }),
    enabled: /^\d+$/.test(id),
  });
  const [doing, setDoing] = useState<"replay" | "discard" | "edit">();
  const letter = read.data?.letter;
  const again = () => {
    setDoing(undefined);
    void client.invalidateQueries({ queryKey: key });
    // The list must not show it as it was.
    client.removeQueries({ queryKey: ["dead letters"] });
  };
  const canChange = session.canChange && letter?.status === DeadLetterStatus.OPEN;
  return (
    <Page
      title={`Dead letter ${id}`}
      actions={
        <>
          <Link href="/dead-letters">All dead letters</Link>
          {canChange && doing !== "edit" && (
            <>
              <button type="button" onClick={() => setDoing("edit")}>
                Edit
              </button>
              <button type="button" onClick={() => setDoing("discard")}>
                Discard …
              </button>
              <button type="button" className="primary" onClick={() => setDoing("replay")}>
                Replay …
              </button>
            </>
          )}
        </>
      }
    >
      {read.error && <Failure error={read.error} retry={() => void read.refetch()} />}
      {letter && (
        <>
          <Facts letter={letter} />
          {doing === "edit" ? (
            <Editor letter={letter} onClose={() => setDoing(undefined)} onSaved={again} />
          ) : (
            <Payload letter={letter} />
          )}
          <History letter={letter} />
        </>
      )}
      {letter && (doing === "replay" || doing === "discard") && (
        <BulkDialog action={doing} ids={[letter.id]} onClose={() => setDoing(undefined)} onDone={again} />
      )}
    </Page>
  );
}

function Facts({ letter: l }: { letter: DeadLetter }) {
  return (
    <section className="card">
      <p className="notice warn">{l.reason}</p>
      <dl className="facts">
        <div>
          <dt>Status</dt>
          <dd>{words(DeadLetterStatus[l.status])}</dd>
        </div>
        <div>
          <dt>Given up by</dt>
          <dd>
            <code>{l.source}</code>, after {l.attempts} {l.attempts === 1 ? "attempt" : "attempts"}
          </dd>
        </div>
        <div>
          <dt>Order</dt>
          <dd>{l.orderId ? <Link href={`/orders/${l.orderId}`}>{l.orderId}</Link> : unknown}</dd>
        </div>
        <div>
          <dt>Since</dt>
          <dd>{moment(l.createTime)}</dd>
        </div>
        <div>
          <dt>Trace</dt>
          <dd>{l.traceId ? <TraceLink traceId={l.traceId} /> : unknown}</dd>
        </div>
      </dl>
    </section>
  );
}

/** The payload may have the customer's address: it is shown when it is asked for. */
function Payload({ letter: l }: { letter: DeadLetter }) {
  const shown = usePrivacy();
  return (
    <section className="card">
      <div className="head">
        <h2>
          Payload <code>{l.payloadType}</code>
        </h2>
        <PrivacyButton />
      </div>
      {shown ? (
        <Document text={l.payloadJson} />
      ) : (
        <p className="muted">It may contain a name, an address and a mail address.</p>
      )}
    </section>
  );
}

function Document({ text }: { text: string }) {
  try {
    return <Tree node={parse(text)} />;
  } catch {
    return <pre>{text}</pre>;
  }
}

function History({ letter: l }: { letter: DeadLetter }) {
  return (
    <section className="card">
      <h2>History</h2>
      {l.history.length === 0 && <p className="muted">Nothing was done about it yet.</p>}
      <ol className="history">
        {l.history.map((a, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: actions are only added at the end.
          <li key={i}>
            <strong>{words(a.action)}</strong> by {a.actor} at {moment(a.time)}
            {a.detail && <div className="break">{a.detail}</div>}
          </li>
        ))}
      </ol>
    </section>
  );
}
