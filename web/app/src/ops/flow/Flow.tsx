import { PipelineMode, PipelineStage } from "@spillway/client/gen/spillway/v1/ops_pb";
import { useState } from "react";
import { Link } from "wouter";
import { count, millis, moment, rate, unknown } from "../shell/format.ts";
import { Failure, Page } from "../shell/Page.tsx";
import { Scroll } from "../shell/Scroll.tsx";
import { Details } from "./Details.tsx";
import { Diagram } from "./Diagram.tsx";
import type { Snapshot } from "./feed.ts";
import { Partitions, Processes } from "./Shop.tsx";
import { useFeed } from "./useFeed.tsx";

/** The path of orders, live. */
export function Flow() {
  const feed = useFeed();
  const { pipeline, state } = feed;
  const [selected, select] = useState<PipelineStage>(PipelineStage.ACCEPT);
  const figures = pipeline?.stages.find((s) => s.stage === selected);
  const p = pipeline?.partitions[0];
  return (
    <Page
      title="Flow"
      actions={
        <>
          <span className={`pill ${state}`} role="status">
            {STATES[state]}
          </span>
          <button type="button" onClick={state === "paused" ? feed.resume : feed.pause}>
            {state === "paused" ? "Resume" : "Pause"}
          </button>
        </>
      }
    >
      {state === "lost" && feed.problem && <Failure problem={feed.problem} />}
      {!pipeline && state === "connecting" && <p className="muted">Waiting for the first figures …</p>}
      {pipeline && (
        <>
          <Summary pipeline={pipeline} />
          <div className="flow">
            <Scroll label="The path of orders" card>
              <Diagram
                stages={pipeline.stages}
                journal={`${count(p?.journalEntries)} of ${count(p?.journalLimit)} entries`}
                live={state === "live"}
                selected={selected}
                onSelect={select}
              />
            </Scroll>
            {figures && (
              <Details
                figures={figures}
                rates={feed.rates.get(selected) ?? []}
                seconds={pipeline.interval ? millis(pipeline.interval) / 1000 : 1}
              />
            )}
          </div>
          <Partitions partitions={pipeline.partitions} />
          <Processes pipeline={pipeline} />
        </>
      )}
    </Page>
  );
}

const STATES = { connecting: "connecting", live: "live", paused: "paused", lost: "connection lost" } as const;

const MODES: Record<PipelineMode, string> = {
  [PipelineMode.UNSPECIFIED]: unknown,
  [PipelineMode.REDIS]: "Redis",
  [PipelineMode.CLOSED]: "closed: no orders are taken",
  [PipelineMode.SQL]: "SQL: Redis is unavailable",
};

/** What an operator reads first. */
function Summary({ pipeline }: { pipeline: NonNullable<Snapshot["pipeline"]> }) {
  const letters = pipeline.deadLetters;
  const accepted = pipeline.stages.find((s) => s.stage === PipelineStage.ACCEPT);
  const paid = accepted?.outcomes.find((o) => o.outcome === "accepted");
  const audit = pipeline.audit;
  return (
    <dl className="tiles">
      <Tile name="Orders" value={`${rate(paid?.perSecond ?? 0)}/s`} note={`${rate(accepted?.perSecond)} calls/s`} />
      <Tile
        name="Stock is reserved in"
        value={MODES[pipeline.mode]}
        note={`epoch ${pipeline.partitions[0]?.epoch ?? unknown}`}
        tone={pipeline.mode === PipelineMode.REDIS ? undefined : pipeline.mode === PipelineMode.SQL ? "warn" : "bad"}
      />
      <Tile
        name="Open dead letters"
        value={letters ? <Link href="/dead-letters">{count(letters.count)}</Link> : unknown}
        note={letters?.sources.map((s) => `${s.source} ${s.count}`).join(", ") || "none"}
        tone={letters && letters.count > 0n ? "warn" : undefined}
      />
      <Tile
        name="Audit"
        value={
          <Link href="/books">
            {!audit
              ? "not run yet"
              : audit.violations === 0n
                ? "no violations"
                : `${count(audit.violations)} violations`}
          </Link>
        }
        note={audit ? audit.violatedRules.join(", ") || moment(audit.time) : "Books runs one"}
        tone={audit && audit.violations > 0n ? "bad" : undefined}
      />
      {pipeline.unavailable.length > 0 && (
        <Tile
          name="Could not be read"
          value={pipeline.unavailable.join(", ")}
          note="its figures are missing"
          tone="bad"
        />
      )}
    </dl>
  );
}

function Tile({
  name,
  value,
  note,
  tone,
}: {
  name: string;
  value: React.ReactNode;
  note: string;
  tone?: "warn" | "bad";
}) {
  return (
    <div className={`tile ${tone ?? ""}`}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        <span className="muted">{note}</span>
      </dd>
    </div>
  );
}
