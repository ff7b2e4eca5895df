import { PipelineStage, type StageFigures } from "@spillway/client/gen/spillway/v1/ops_pb";
import type { KeyboardEvent } from "react";
import { count, duration, rate, unknown } from "../shell/format.ts";
import { BREAKERS, DELIVERY, DRAIN, FRONT, infoOf, REPAIR, toneOf } from "./stages.ts";

const width = 230;
const height = 92;
const small = 46;
const columns = [16, 290, 564, 838] as const;
const top = 44;
const gap = 24;

interface Place {
  stage: PipelineStage;
  x: number;
  y: number;
  h: number;
}

const stack = (stages: readonly PipelineStage[], x: number, h: number, between: number, from = 0): Place[] =>
  stages.map((stage, i) => ({ stage, x, y: top + from + i * (h + between), h }));

const step = height + gap;
const PLACES: Place[] = [
  ...stack(FRONT, columns[0], height, gap),
  ...stack(DRAIN, columns[1], height, gap, step),
  ...stack(DELIVERY, columns[2], height, gap, step),
  ...stack(REPAIR, columns[3], small, 10.3),
];

/** The ways of an order between the stages, as paths. */
const right = (c: number) => (columns[c] ?? 0) + width;
const mid = (row: number) => top + row * step + height / 2;
const down = (x: number, row: number) => `M${x + width / 2} ${top + row * step + height}v${gap}`;
const WAYS = [
  down(columns[0], 0),
  down(columns[0], 1),
  down(columns[0], 2),
  `M${right(0)} ${mid(1)}H${right(0) + 22}V${mid(0)}H${columns[1]}`,
  `M${right(0)} ${mid(3)}H${right(0) + 22}V${mid(0)}H${columns[1]}`,
  down(columns[1], 0),
  down(columns[1], 1),
  `M${right(1)} ${mid(2)}H${right(1) + 22}V${mid(0)}H${columns[2]}`,
  ...[1, 2, 3].map((row) => `M${columns[2]} ${mid(0)}H${columns[2] - 12}V${mid(row)}H${columns[2]}`),
];

interface DiagramProps {
  stages: readonly StageFigures[];
  journal: string;
  live: boolean;
  selected?: PipelineStage;
  onSelect: (stage: PipelineStage) => void;
}

/** The path of orders: each stage with its figures, and the ways between them. The table below it has the same for screen readers. */
export function Diagram({ stages, journal, live, selected, onSelect }: DiagramProps) {
  const figures = new Map(stages.map((s) => [s.stage, s]));
  const flowing = live && stages.some((s) => (s.perSecond ?? 0) > 0);
  return (
    // biome-ignore lint/a11y/noSvgWithoutTitle: the region around it has the name; a title would be a tooltip over all of it.
    <svg className="diagram" viewBox="0 0 1084 492">
      {["While the customer waits", "Journal", "Queue", "Repair"].map((title, i) => (
        <text key={title} className="column" x={columns[i]} y={26}>
          {title}
        </text>
      ))}
      <g className={flowing ? "ways flowing" : "ways"}>
        <marker id="tip" viewBox="0 0 8 8" refX={7} refY={4} markerWidth={5} markerHeight={5} orient="auto">
          <path d="M0 0L8 4L0 8Z" />
        </marker>
        {WAYS.map((d) => (
          <path key={d} d={d} markerEnd="url(#tip)" />
        ))}
      </g>
      <Store x={columns[1]} name="Journal (Redis)" text={journal} />
      <Store x={columns[2]} name="Queue" text="wakes the workers" />
      {PLACES.map((p) => (
        <StageBox
          key={p.stage}
          place={p}
          figures={figures.get(p.stage)}
          selected={p.stage === selected}
          onSelect={onSelect}
        />
      ))}
    </svg>
  );
}

function Store({ x, name, text }: { x: number; name: string; text: string }) {
  return (
    <g transform={`translate(${x} ${top})`}>
      <rect className="store" width={width} height={height} rx={30} />
      <text className="name" x={width / 2} y={40} textAnchor="middle">
        {name}
      </text>
      <text className="line" x={width / 2} y={62} textAnchor="middle">
        {text}
      </text>
    </g>
  );
}

interface StageBoxProps {
  place: Place;
  figures: StageFigures | undefined;
  selected: boolean;
  onSelect: (stage: PipelineStage) => void;
}

function StageBox({ place, figures: s, selected, onSelect }: StageBoxProps) {
  const info = infoOf(place.stage);
  const full = place.h === height;
  const select = () => onSelect(place.stage);
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.key !== "Enter" && e.key !== " ") return;
    e.preventDefault();
    select();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no button.
    <g
      className={`stage ${toneOf(s)}${selected ? " selected" : ""}`}
      transform={`translate(${place.x} ${place.y})`}
      role="button"
      tabIndex={0}
      aria-pressed={selected}
      aria-label={`${info.name} ${rate(s?.perSecond)}/s ${waiting(s)}${full ? ` ${trouble(s)}` : ""}`}
      onClick={select}
      onKeyDown={onKeyDown}
    >
      <rect className="box" width={width} height={place.h} rx={8} />
      <rect className="edge" width={5} height={place.h} rx={2.5} />
      <text className="name" x={16} y={full ? 26 : 20}>
        {info.name}
      </text>{" "}
      <text className="rate" x={width - 12} y={full ? 28 : 20} textAnchor="end">
        {rate(s?.perSecond)}
        <tspan className="unit">/s</tspan>
      </text>{" "}
      <text className="line" x={16} y={full ? 52 : 37}>
        {waiting(s)}
      </text>{" "}
      {full && (
        <text className="line" x={16} y={74}>
          {trouble(s)}
        </text>
      )}
    </g>
  );
}

/** What waits, and for how long the oldest. */
export function waiting(s: StageFigures | undefined): string {
  if (!s) return unknown;
  if (s.processes === 0) return s.depth ? `no process · ${count(s.depth)} wait` : "no process runs it";
  const { waiting: what } = infoOf(s.stage);
  if (!what || s.depth === undefined) return s.batchSize ? `${rate(s.batchSize)} a batch` : `${count(s.total)} so far`;
  return `${count(s.depth)} ${what}${s.oldestAge ? ` · oldest ${duration(s.oldestAge)}` : ""}`;
}

/** The outcomes of PlaceOrder that are no refusals. */
const taken = new Set(["accepted", "pending", "replayed"]);

/** Failures and the breaker, or what is refused as it should be, in one line. */
export function trouble(s: StageFigures | undefined): string {
  if (!s) return unknown;
  if (s.stage === PipelineStage.ACCEPT && !s.failuresPerSecond) {
    const refused = s.outcomes.filter((o) => !taken.has(o.outcome)).reduce((sum, o) => sum + o.perSecond, 0);
    return refused ? `${rate(refused)} refused/s` : "none refused";
  }
  const failing = s.failuresPerSecond ? `${rate(s.failuresPerSecond)} failures/s` : "no failures";
  return s.breaker ? `${failing} · breaker ${BREAKERS[s.breaker]}` : failing;
}
