import { PipelineStage, type StageFigures } from "@spillway/client/gen/spillway/v1/ops_pb";
import { count, duration, rate } from "../shell/format.ts";
import { BREAKERS, infoOf } from "./stages.ts";

/** All figures of one stage, with its rate over the last minutes. */
export function Details({
  figures: s,
  rates,
  seconds,
}: {
  figures: StageFigures;
  rates: readonly number[];
  seconds: number;
}) {
  const info = infoOf(s.stage);
  const facts: [string, string][] = [
    ["Rate", `${rate(s.perSecond)}/s`],
    ["Total", count(s.total)],
    [info.waiting ? `Depth (${info.waiting})` : "Depth", count(s.depth)],
    ["Oldest", duration(s.oldestAge)],
    [
      s.stage === PipelineStage.ACCEPT ? "Refused" : "Failures",
      `${rate(s.failuresPerSecond)}/s, ${count(s.failures)} so far`,
    ],
    ["Batch", rate(s.batchSize)],
    ["Age of an order", duration(s.orderAge)],
    ["Breaker", BREAKERS[s.breaker] ?? "none"],
    ["Processes", count(s.processes)],
  ];
  return (
    <section className="card" aria-live="off">
      <h2>{info.name}</h2>
      <p className="muted">{info.text}.</p>
      <Plot rates={rates} label={`${info.name}: rate over the last ${Math.round(rates.length * seconds)} seconds`} />
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {s.outcomes.length > 0 && (
        <table className="plain">
          <caption>Outcomes a second</caption>
          <tbody>
            {s.outcomes.map((o) => (
              <tr key={o.outcome}>
                <th scope="row">{o.outcome}</th>
                <td className="number">{rate(o.perSecond)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

const plotWidth = 300;
const plotHeight = 60;

/** A line of the rates; gaps where there was none. */
export function Plot({ rates, label }: { rates: readonly number[]; label: string }) {
  const max = Math.max(1, ...rates.filter((v) => !Number.isNaN(v)));
  const x = (i: number) => (rates.length < 2 ? 0 : (i * plotWidth) / (rates.length - 1));
  const y = (v: number) => plotHeight - 2 - (v / max) * (plotHeight - 14);
  let d = "";
  rates.forEach((v, i) => {
    if (!Number.isNaN(v))
      d += `${d === "" || Number.isNaN(rates[i - 1] ?? Number.NaN) ? "M" : "L"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
  });
  return (
    <svg className="plot" viewBox={`0 0 ${plotWidth} ${plotHeight}`} role="img" aria-label={label}>
      <line className="base" x1={0} x2={plotWidth} y1={plotHeight - 1} y2={plotHeight - 1} />
      <path d={d} />
      <text x={0} y={9}>
        {rate(max)}/s
      </text>
    </svg>
  );
}
