/** What works and what does not, what waits for head office, and how much room there is. */

import type { JSX } from "preact";
import { bytes, count, many } from "../core/money";
import { moment, span, zoneName } from "../core/time";
import { DELIVERY, partName, partState } from "../core/words";
import { get } from "../io/api";
import { cameras, now, status, statusProblem, loadStatus, zone } from "../io/store";
import { may } from "../io/session";
import type { Part, Quarantined, Status } from "../io/types";
import { At, Empty, Facts, Meter, State, Trouble } from "../ui/bits";
import { useLoad } from "../ui/load";
import { AuditLog, Logins } from "./people";

export function System(): JSX.Element {
  const of = status.value;
  return (
    <div class="system pad-view">
      <h1 class="sr">System</h1>
      {statusProblem.value && <Trouble again={() => void loadStatus()}>{statusProblem.value}</Trouble>}
      {of && (
        <>
          <Parts of={of} />
          <div class="plots">
            <Outbox of={of} />
            <Disk of={of} />
          </div>
          <div class="plots">
            <Box of={of} />
            {may("system") && <Quarantine total={of.quarantine.total} evicted={of.quarantine.evicted} />}
          </div>
          {may("logins") && <Logins />}
          {may("footage") && <AuditLog />}
        </>
      )}
    </div>
  );
}

const ORDER = ["drawer", "kick", "printer", "pos_mqtt", "pos_topics", "ingest", "uplink", "control"];

function Parts({ of }: { of: Status }): JSX.Element {
  const rank = (name: string): number => {
    const at = ORDER.indexOf(name);
    return at >= 0 ? at : 3.5;
  };
  const parts = Object.entries(of.parts).sort(([a, one], [b, other]) => {
    const down = Number(other.state === "down") - Number(one.state === "down");
    return down || rank(a) - rank(b) || a.localeCompare(b);
  });
  const down = parts.filter(([, part]) => part.state === "down").length;
  return (
    <section class="card" aria-label="Devices and connections">
      <header class="row between">
        <h2>Devices and connections</h2>
        <State mark={down > 0 ? "bad" : of.ready ? "ok" : "busy"}>{down > 0 ? `${many(down, "part does", "parts do")} not work` : of.ready ? "everything that is configured works" : "getting ready"}</State>
      </header>
      <table class="list parts">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">State</th>
            <th scope="col">Where</th>
            <th scope="col">Since</th>
          </tr>
        </thead>
        <tbody>
          {parts.map(([name, part]) => (
            <PartRow key={name} name={name} part={part} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function PartRow({ name, part }: { name: string; part: Part }): JSX.Element {
  const { name: title, loss } = partName(name, cameras.value);
  const mark = ({ up: "ok", down: "bad", starting: "busy", absent: "off" } as const)[part.state] ?? "warn";
  return (
    <>
      <tr class={part.state}>
        <th scope="row">{title}</th>
        <td>
          <State mark={mark}>{partState(part.state)}</State>
        </td>
        <td class="dim cut" title={part.what}>
          {part.what}
        </td>
        <td class="dim">
          <At at={part.since} long />
          {part.reopened > 0 && ` · came back ${many(part.reopened, "time")}`}
        </td>
      </tr>
      {part.reason && (
        <tr class="reason">
          <td colSpan={4}>
            {part.reason}
            {loss && <span class="dim"> Meanwhile {loss}.</span>}
          </td>
        </tr>
      )}
    </>
  );
}

function Outbox({ of }: { of: Status }): JSX.Element {
  const { outbox } = of;
  const lanes = Object.entries(outbox.lanes);
  return (
    <section class="card" aria-label="Messages for head office">
      <h2>Messages for head office</h2>
      <p class="big">
        <b class="num">{count(outbox.depth)}</b> accepted and not acknowledged
      </p>
      {outbox.depth > 0 && (
        <p class="dim">
          The oldest waits for {span(outbox.oldest_s * 1000)}. {lanes.filter(([, n]) => n > 0).map(([lane, n]) => `${lane} ${count(n)}`).join(", ")}.
        </p>
      )}
      {outbox.trimmed > 0 && <p class="trouble">{many(outbox.trimmed, "bulk message")} given up because the outbox was full.</p>}
      <dl class="words">
        {["accepted", "acknowledged", "delivered"].map((word) => (
          <div key={word}>
            <dt>{DELIVERY[word]?.word}</dt>
            <dd>{DELIVERY[word]?.means}</dd>
          </div>
        ))}
      </dl>
      <p class="small dim">Head office sends no receipts yet, so the last word that is reached is acknowledged.</p>
    </section>
  );
}

function Disk({ of }: { of: Status }): JSX.Element {
  const { log, media } = of;
  const written = log.written_bytes + (media?.written_bytes ?? 0);
  const perDay = of.uptime_s > 600 ? (written / of.uptime_s) * 86_400 : null;
  return (
    <section class="card" aria-label="Disk">
      <h2>Disk</h2>
      <div class="budget">
        <span>
          Log <State mark={log.writable ? "ok" : "bad"}>{log.writable ? "accepts" : "cannot be written"}</State>
        </span>
        <span class="num dim">
          {bytes(log.bytes)} of {bytes(log.budget_bytes)}
        </span>
        <Meter of={log.bytes} total={log.budget_bytes} label={`Log: ${bytes(log.bytes)} of ${bytes(log.budget_bytes)}`} />
        {log.why && <p class="trouble">{log.why}</p>}
      </div>
      {media && (
        <div class="budget">
          <span>
            Footage{" "}
            <State mark={media.state === "writable" ? "ok" : media.state === "full" ? "warn" : "bad"}>
              {media.state === "writable" ? "accepts" : media.state === "full" ? "full: nothing can be given up for more" : "cannot be written"}
            </State>
          </span>
          <span class="num dim">
            {bytes(media.used_bytes)} of {bytes(media.budget_bytes)}
          </span>
          <Meter of={media.used_bytes} total={media.budget_bytes} label={`Footage: ${bytes(media.used_bytes)} of ${bytes(media.budget_bytes)}`} />
          {media.why && <p class="small">{media.why}</p>}
        </div>
      )}
      <Facts
        of={[
          ["Clips", media ? `${count(media.clips)}${media.clips_held > 0 ? `, ${count(media.clips_held)} kept by somebody` : ""}${media.dropped > 0 ? `, ${count(media.dropped)} given up since the start` : ""}` : "no camera is configured"],
          ["Card wear", `${bytes(written)} written in ${span(of.uptime_s * 1000)}${perDay === null ? "" : `, some ${bytes(Math.round(perDay))} a day`}`],
          ["Syncs", count(log.syncs)],
          ["Damage", log.damaged_ranges + log.suspect_segments === 0 ? "none found" : `${many(log.damaged_ranges, "damaged range")}, ${many(log.suspect_segments, "suspect segment")}`],
          ["Index", log.index_lag === 0 ? `up to date${log.index_rebuilds > 0 ? `, rebuilt ${many(log.index_rebuilds, "time")}` : ""}` : `${many(log.index_lag, "record")} behind`],
        ]}
      />
    </section>
  );
}

function Box({ of }: { of: Status }): JSX.Element {
  const at = now.value;
  return (
    <section class="card" aria-label="This box">
      <h2>This box</h2>
      <Facts
        of={[
          ["Register", `${of.store_code} / ${of.register_id}`],
          ["Version", of.version],
          ["Running", `${span(of.uptime_s * 1000)}, process ${of.pid}, boot ${of.boot}`],
          ["Clock", of.clock === "synced" ? <State mark="ok">set by network time</State> : <State mark="warn">not set by network time yet: opening hours are not judged</State>],
          ["Time zone", `${of.timezone} (${zoneName(at, of.timezone)}), now ${moment(at, zone.value, at)}`],
          ["Currency", of.currency],
          ["Log level", of.log_level],
          ["Log", <span class="mono small">{of.log.id}</span>],
          ["Records", `${count(of.log.first_seq)} to ${count(of.log.durable_seq)}`],
          ["Pictures", `${count(of.frames)} captured, ${count(of.frames_dropped)} dropped since the start`],
        ]}
      />
    </section>
  );
}

function Quarantine({ total, evicted }: { total: number; evicted: number }): JSX.Element {
  const asked = useLoad<Quarantined[]>(`quarantine ${total}`, (signal) => get<Quarantined[]>("/api/quarantine?limit=20", { signal }));
  return (
    <section class="card" aria-label="Quarantine">
      <header class="row between">
        <h2>Not understood</h2>
        <span class="dim small">
          {count(total)} ever{evicted > 0 && `, ${count(evicted)} made room`}
        </span>
      </header>
      {asked.why && <Trouble again={asked.again}>{asked.why}</Trouble>}
      {asked.value?.length === 0 && <Empty title="Nothing">Input that cannot be used is kept here with its reason.</Empty>}
      <ol class="quarantine">
        {(asked.value ?? []).map((item, n) => (
          <li key={`${item.at} ${n}`}>
            <p>
              <At at={item.at} long /> <b>{item.source}</b> {item.text}
            </p>
            <details>
              <summary class="small dim">
                {item.origin} · {bytes(item.size)}
              </summary>
              <pre>{item.raw}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}
