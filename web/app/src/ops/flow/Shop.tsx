import { BreakerState, type Partition, type Pipeline, type ShopProcess } from "@spillway/client/gen/spillway/v1/ops_pb";
import { between, count, duration, moment, span, unknown, words } from "../shell/format.ts";
import { Scroll } from "../shell/Scroll.tsx";
import { infoOf } from "./stages.ts";

/** The partitions of the stock: epoch, Redis instance, journal and its readers. */
export function Partitions({ partitions }: { partitions: readonly Partition[] }) {
  return (
    <section className="card">
      <h2>Stock and journal</h2>
      {partitions.map((p) => (
        <div key={p.number} className="partition">
          {p.epoch === undefined ? (
            <p className="notice bad">
              No epoch is open, and no orders are taken: {p.closedReason || "the cause is not known"}.
            </p>
          ) : null}
          <dl className="facts">
            <Fact name="Partition" value={String(p.number)} />
            <Fact
              name="Epoch"
              value={p.epoch === undefined ? unknown : `${p.epoch}, since ${moment(p.epochOpenTime)}`}
            />
            <Fact name="A response promises" value={p.durability || unknown} />
            <Fact name="Journal" value={`${count(p.journalEntries)} of ${count(p.journalLimit)} entries`} />
            <Fact name="Redis instance" value={p.instance || unknown} code />
          </dl>
          <Scroll label={`Readers of the journal ${p.number}`}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Reader</th>
                  <th scope="col">Offset</th>
                  <th scope="col" className="number">
                    Behind
                  </th>
                  <th scope="col" className="number">
                    Oldest
                  </th>
                </tr>
              </thead>
              <tbody>
                {p.readers.map((r) => (
                  <tr key={r.stage}>
                    <th scope="row">{infoOf(r.stage).name}</th>
                    <td>
                      <code>{r.offset || unknown}</code>
                    </td>
                    <td className="number">{count(r.entries)}</td>
                    <td className="number">{duration(r.oldestAge)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </div>
      ))}
    </section>
  );
}

function Fact({ name, value, code }: { name: string; value: string; code?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{code ? <code className="break">{value}</code> : value}</dd>
    </div>
  );
}

/** The processes of the shop, and their breakers that are not closed. */
export function Processes({ pipeline }: { pipeline: Pipeline }) {
  return (
    <section className="card">
      <h2>Processes</h2>
      <Scroll label="Processes">
        <table>
          <thead>
            <tr>
              <th scope="col">Process</th>
              <th scope="col">Role</th>
              <th scope="col">Host</th>
              <th scope="col" className="number">
                Up
              </th>
              <th scope="col" className="number">
                Last report
              </th>
              <th scope="col">Breakers</th>
            </tr>
          </thead>
          <tbody>
            {pipeline.processes.map((p) => (
              <tr key={p.id}>
                <th scope="row">
                  <code>{p.id.slice(0, 8)}</code>
                  {p.self && " (this one)"}
                </th>
                <td>{p.role}</td>
                <td>{p.host}</td>
                <td className="number">
                  {p.startTime && pipeline.time ? span(between(p.startTime, pipeline.time)) : unknown}
                </td>
                <td className="number">{duration(p.reportAge)}</td>
                <td>{breakersOf(p)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

/** The breakers that are not closed. */
export function breakersOf(p: ShopProcess): string {
  const open = p.breakers.filter((b) => b.state !== BreakerState.CLOSED);
  if (open.length === 0) return p.breakers.length > 0 ? "all closed" : unknown;
  return open.map((b) => `${b.name} ${words(BreakerState[b.state])}`).join(", ");
}
