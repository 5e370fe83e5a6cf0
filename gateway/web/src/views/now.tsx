/** What is going on at the register. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { address } from "../core/route";
import { newestFirst } from "../core/rows";
import { openSpans, ticks } from "../core/strip";
import { minutes, span } from "../core/time";
import { kindWords, partName, partState, tillWords } from "../core/words";
import { whyNot } from "../io/session";
import { cameras, demo, items, listProblem, loadRecent, newest, now, status, zone } from "../io/store";
import type { Camera, Item, Part } from "../io/types";
import { Ago, Empty, Money, Severity, State, Trouble } from "../ui/bits";
import { tourSeen } from "../io/prefs";
import { EventLine } from "./events";
import { Tour } from "./tour";

const EVENTS_SHOWN = 60;
const STRIP_MS = 10 * 60_000;

export function Now(): JSX.Element {
  return (
    <div class="now">
      <h1 class="sr">Now</h1>
      {demo.value && !tourSeen.value && <Tour />}
      <div class="overview">
        <div class="seen">
          <Witnesses />
          <DrawerStrip />
        </div>
        <Cameras />
      </div>
      <div class="columns">
        <NewestAlerts />
        <LiveEvents />
      </div>
    </div>
  );
}

function markOf(part: Part | undefined): "ok" | "bad" | "warn" | "off" | "busy" {
  return ({ up: "ok", down: "bad", starting: "busy", absent: "off" } as const)[part?.state ?? "absent"] ?? "off";
}

function Witness({ name, part, children }: { name: string; part: string; children?: ComponentChildren }): JSX.Element {
  const of = status.value?.parts[part];
  const { loss } = partName(part, cameras.value);
  return (
    <section class={`card witness ${of?.state ?? "absent"}`}>
      <h2>{name}</h2>
      {of?.state === "up" && children ? <div class="says">{children}</div> : null}
      <State mark={markOf(of)}>
        {partState(of?.state ?? "absent")}
        {of?.state === "down" && loss && `: ${loss}`}
      </State>
      {of?.state === "down" && of.reason && <p class="small">{of.reason}</p>}
    </section>
  );
}

function last(kinds: string[]): Item | undefined {
  return items.value.find((item) => kinds.includes(item.kind));
}

function Witnesses(): JSX.Element {
  const drawer = last(["drawer"]);
  const paper = last(["receipt"]);
  const till = last(["pos"]);
  const open = drawer?.drawer?.state === "open";
  return (
    <div class="witnesses" role="region" aria-label="Witnesses">
      <Witness name="Drawer" part="drawer">
        {drawer ? (
          <>
            <b class={open ? "open" : ""}>{open ? "Open" : "Closed"}</b>{" "}
            <span class="dim num">for {span(now.value - Date.parse(drawer.at))}</span>
          </>
        ) : (
          <span class="dim">has not moved yet</span>
        )}
      </Witness>
      <Witness name="Printer" part="printer">
        {paper ? (
          <>
            <a href={address("receipts", String(paper.seq))}>
              Last receipt <Money of={paper.receipt?.total} />
            </a>{" "}
            <span class="dim">
              <Ago at={paper.at} />
            </span>
          </>
        ) : (
          <span class="dim">nothing printed yet</span>
        )}
      </Witness>
      <Witness name="Till" part="pos_mqtt">
        {till ? (
          <>
            {tillWords(till.pos?.event_type ?? "")} <Money of={till.pos?.amount} />{" "}
            <span class="dim">
              <Ago at={till.at} />
            </span>
          </>
        ) : (
          <span class="dim">has said nothing yet</span>
        )}
      </Witness>
    </div>
  );
}

function Cameras(): JSX.Element | null {
  if (!status.value) return null;
  return (
    <div class="cameras" role="region" aria-label="Cameras">
      {cameras.value.map((camera) => (
        <CameraCard key={camera.camera} camera={camera} />
      ))}
      {cameras.value.length === 0 && (
        <section class="card witness camera">
          <h2>Camera</h2>
          <State mark="off">not configured</State>
          <p class="small dim">With a camera, every alert gets the minute before and after it.</p>
        </section>
      )}
    </div>
  );
}

const SNAPSHOT_MS = 1_000;

/** A camera's newest picture, once a second while somebody looks. */
function CameraCard({ camera }: { camera: Camera }): JSX.Element {
  const [n, setN] = useState(0);
  const [failed, setFailed] = useState(false);
  const blocked = whyNot("footage");
  const part = status.value?.parts[`camera${camera.camera}`];
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setN((old) => old + 1);
    }, SNAPSHOT_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <section class="card witness camera">
      <h2>
        Camera <span class="plain">{camera.name}</span>
      </h2>
      {blocked ? (
        <p class="small dim">{blocked}</p>
      ) : (
        <div class="snapshot">
          <img
            src={`/api/cameras/${camera.camera}/snapshot.jpg?n=${n}`}
            alt={`What camera ${camera.name} sees now`}
            width="640"
            height="480"
            class={failed ? "hidden" : ""}
            onLoad={() => setFailed(false)}
            onError={() => setFailed(true)}
          />
          {failed && <span class="dim">no picture</span>}
        </div>
      )}
      <State mark={camera.delivering ? "ok" : markOf(part)}>{camera.delivering ? `${camera.fps.toFixed(0)} pictures a second` : part?.reason ?? partState(part?.state ?? "absent")}</State>
    </section>
  );
}

/** The drawer's line over the last ten minutes, with what belongs to it. */
function DrawerStrip(): JSX.Element {
  const to = now.value;
  const from = to - STRIP_MS;
  const changes = items.value
    .filter((item) => item.drawer)
    .map((item) => ({ at: Date.parse(item.at), open: item.drawer?.state === "open" }));
  const spans = openSpans(changes, from, to);
  const x = (at: number): string => `${(((at - from) / STRIP_MS) * 100).toFixed(3)}%`;
  const inside = (item: Item): boolean => Date.parse(item.at) > from;
  const kicks = items.value.filter((item) => item.kind === "kick" && inside(item));
  const sales = items.value.filter((item) => item.pos?.event_type === "payment_cleared" && inside(item));
  const alerts = new Map<string, Item>();
  for (const item of items.value) {
    if (item.kind === "alert" && item.alert_id && inside(item) && !alerts.has(item.alert_id)) alerts.set(item.alert_id, item);
  }
  const words = `In the last ten minutes the drawer was open ${spans.length} times, for ${span(spans.reduce((sum, of) => sum + of.to - of.from, 0))} in all.`;
  return (
    <section class="card strip-card" aria-label="Drawer over the last ten minutes">
      <header class="row between">
        <h2>Drawer, last ten minutes</h2>
        <span class="legend small dim">
          <span class="key open" /> open <span class="key kick" /> kick <span class="key sale" /> payment <span class="key alert" /> alert
        </span>
      </header>
      <div class="drawer-strip" role="img" aria-label={words}>
        <span class="line" />
        {spans.map((of) => (
          <span key={of.from} class={`open ${of.lasts ? "lasts" : ""}`} style={{ left: x(of.from), width: `max(3px, ${(((of.to - of.from) / STRIP_MS) * 100).toFixed(3)}%)` }} title={`open for ${span(of.to - of.from)}`} />
        ))}
        {kicks.map((item) => (
          <span key={item.seq} class="kick" style={{ left: x(Date.parse(item.at)) }} />
        ))}
        {sales.map((item) => (
          <span key={item.seq} class="sale" style={{ left: x(Date.parse(item.at)) }} />
        ))}
      </div>
      <div class="strip-marks">
        {ticks(from, to, 10).map((at) => (
          <span key={at} class="tick-label num" style={{ left: x(at) }}>
            {minutes(at, zone.value)}
          </span>
        ))}
        {[...alerts.values()].map((item) => (
          <a key={item.seq} class="alert-mark" style={{ left: x(Date.parse(item.at)) }} href={address("alerts", item.alert_id)} title={`${kindWords(item.alert?.kind ?? "")} ${item.score?.toFixed(2) ?? ""}`}>
            <span class="sr">{kindWords(item.alert?.kind ?? "")}</span>
          </a>
        ))}
      </div>
    </section>
  );
}

function NewestAlerts(): JSX.Element {
  // They come in the order in which they were raised; the time that is shown is that of the cause.
  const all = newest.value && newestFirst(newest.value);
  return (
    <section class="card" aria-label="Newest alerts">
      <header class="row between">
        <h2>Newest alerts</h2>
        <a href={address("alerts")}>Review queue</a>
      </header>
      {all === null && !listProblem.value && <p class="dim pad">One moment…</p>}
      {listProblem.value && <Trouble again={() => void loadRecent()}>{listProblem.value}</Trouble>}
      {all?.length === 0 && <Empty title="No alerts">When drawer, paper, till and camera disagree, the alert appears here within a second.</Empty>}
      <ol class="alert-lines">
        {(all ?? []).slice(0, 8).map((alert) => (
          <li key={alert.alert_id}>
            <a href={address("alerts", alert.alert_id)}>
              <Severity of={alert.severity} score={alert.score} bare />
              <span class="what">
                {kindWords(alert.kind)}
                <span class="dim more">
                  {alert.staff_id ?? "nobody known"}
                  {alert.amount !== null && " · "}
                  <Money of={alert.amount} />
                </span>
              </span>
              <span class="dim small verdict-word">{alert.state === "cleared" ? "explained" : (alert.review?.verdict ?? "")}</span>
              <Ago at={alert.at} />
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

function LiveEvents(): JSX.Element {
  const shown = items.value.filter((item) => item.kind !== "finding").slice(0, EVENTS_SHOWN);
  return (
    <section class="card" aria-label="Events as they come">
      <header class="row between">
        <h2>As it happens</h2>
      </header>
      {shown.length === 0 && <Empty title="Nothing has happened yet">Openings, receipts and what the till says appear here as they come.</Empty>}
      <ol class="events live" tabIndex={0} aria-label="Events, the newest first">
        {shown.map((item) => (
          <EventLine key={item.seq} item={item} />
        ))}
      </ol>
    </section>
  );
}
