import { PipelineStage } from "@spillway/client/gen/spillway/v1/ops_pb";
import { type FormEvent, useState } from "react";
import { Plot } from "../flow/Details.tsx";
import { useFeed } from "../flow/useFeed.tsx";
import { useApi } from "../shell/api.tsx";
import { Field } from "../shell/Dialog.tsx";
import { count, rate, span, unknown } from "../shell/format.ts";
import { Page } from "../shell/Page.tsx";
import type { LabState, Load } from "./labApi.ts";
import { useLab } from "./useLab.ts";

/** Sends a load to this shop, for development, and shows what becomes of it. */
export function Lab() {
  const { session } = useApi();
  const lab = useLab();
  const feed = useFeed();
  const running = lab.state?.running ?? false;
  const rates = (stage: PipelineStage) => feed.rates.get(stage) ?? [];
  const plots: [string, readonly number[]][] = [
    ["Accepted", lab.history.accepted],
    ["Sold out", lab.history.soldOut],
    ["Shed", lab.history.shed],
    ["Durable (in SQL)", rates(PipelineStage.WRITE)],
    ["Shipped", rates(PipelineStage.SHIP)],
  ];
  return (
    <Page
      title="Load lab"
      actions={
        session.canChange &&
        running && (
          <button type="button" disabled={lab.stop.isPending} onClick={() => lab.stop.mutate()}>
            Stop
          </button>
        )
      }
    >
      {lab.error && (
        <p className="notice bad" role="alert">
          {lab.error.message}
        </p>
      )}
      {!session.canChange && (
        <p className="muted">A token that only reads can watch a load, and neither start nor stop one.</p>
      )}
      {session.canChange && <LoadForm busy={running || lab.start.isPending} onStart={lab.start.mutate} />}
      {lab.state && <Verdict state={lab.state} />}
      {lab.state?.figures && <Totals figures={lab.state.figures} />}
      <div className="tiles">
        {plots.map(([name, values]) => (
          <section className="tile" key={name}>
            <h2>{name}</h2>
            <strong>{values.length > 0 ? `${rate(values.at(-1))}/s` : unknown}</strong>
            <Plot rates={values} label={`${name} a second`} />
          </section>
        ))}
      </div>
    </Page>
  );
}

const SCENARIOS: { value: Load["scenario"]; label: string }[] = [
  { value: "flash-sale", label: "Flash sale: one unit of one new product" },
  { value: "uniform", label: "Uniform: one unit of any product" },
  { value: "mixed", label: "Mixed: visits that browse, of which some buy" },
];

function LoadForm({ busy, onStart }: { busy: boolean; onStart: (load: Load) => void }) {
  const [scenario, setScenario] = useState<Load["scenario"]>("flash-sale");
  const [figures, setFigures] = useState({ rate: "50", duration: "20", stock: "300" });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    onStart({
      scenario,
      rate: Number(figures.rate),
      duration: Number(figures.duration),
      stock: scenario === "flash-sale" ? Number(figures.stock) : 0,
    });
  };
  const number = (name: keyof typeof figures, label: string, max: number) => (
    <Field label={label}>
      {(props) => (
        <input
          {...props}
          type="number"
          required
          min={1}
          max={max}
          value={figures[name]}
          onChange={(e) => setFigures({ ...figures, [name]: e.target.value })}
        />
      )}
    </Field>
  );
  return (
    <form className="card lab" onSubmit={submit}>
      <div className="filters">
        <Field label="Scenario">
          {(props) => (
            <select
              {...props}
              value={scenario}
              onChange={(e) => setScenario(SCENARIOS.find((s) => s.value === e.target.value)?.value ?? "uniform")}
            >
              {SCENARIOS.map((s) => (
                <option key={s.value} value={s.value}>
                  {s.label}
                </option>
              ))}
            </select>
          )}
        </Field>
        {number("rate", "Arrivals a second", 500)}
        {number("duration", "For how many seconds", 120)}
        {scenario === "flash-sale" && number("stock", "Units on sale", 1_000_000)}
      </div>
      <button type="submit" className="primary" disabled={busy}>
        Start
      </button>
    </form>
  );
}

const VERDICTS = {
  ok: "Every accepted order was found as it was accepted, and the books close.",
  violated: "The check found violations.",
  not_run: "The load could not be checked.",
} as const;

function Verdict({ state }: { state: LabState }) {
  if (state.running) {
    return (
      <p className="notice" role="status">
        Running: {/^[\d.]+s/.test(state.phase ?? "") ? "orders arrive" : state.phase}
      </p>
    );
  }
  if (state.error) return <p className="notice bad">{state.error}</p>;
  if (!state.verdict) return null;
  const notes = [state.result?.record.note, state.result?.audit.note].filter(Boolean).join("; ");
  return (
    <p className={`notice ${state.verdict === "ok" ? "good" : "bad"}`} role="status">
      <strong>{VERDICTS[state.verdict]}</strong> {notes}
    </p>
  );
}

function Totals({ figures: f }: { figures: NonNullable<LabState["figures"]> }) {
  const facts: [string, string][] = [
    ["Accepted", count(f.accepted)],
    ["Sold out", count(f.soldOut)],
    ["Shed", count(f.shed)],
    ["Failed", count(f.failed)],
    ["Other", count(f.other)],
    ["Not sent", count(f.notSent)],
    ["Retries", count(f.retries)],
    ["In flight", count(f.inFlight)],
    ["Median latency", span(f.p50)],
    ["99th percentile", span(f.p99)],
  ];
  return (
    <dl className="facts card">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
