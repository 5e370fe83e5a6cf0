/** A day of the store: what happened when, how much of it by hour and by person, and why the drawer opened. */

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Mark } from "../core/lanes";
import { count, many, money } from "../core/money";
import { address } from "../core/route";
import { addDays, day as dayOf, dayName, minutes, span } from "../core/time";
import { causeWords, kindWords, paperWords, tillWords } from "../core/words";
import { get } from "../io/api";
import { go, route } from "../io/router";
import { alertsChanged, cameras, currency, registerNow, status, zone } from "../io/store";
import type { Day as DayData } from "../io/types";
import { At, Empty, Severity, State, Trouble } from "../ui/bits";
import { useLoad } from "../ui/load";
import { Bars } from "./plot";
import { Timeline, type Lane } from "./timeline";

const AGAIN_MS = 15_000;
const OPENINGS_SHOWN = 50;

export function Day(): JSX.Element {
  const today = dayOf(registerNow(), zone.value);
  const date = route.value.id ?? today;
  // The zone is known only with the status: another day would be asked for.
  const known = status.value !== null;
  const asked = useLoad<DayData>(known ? date : null, (signal) => get<DayData>(`/api/day?date=${date}`, { signal }));
  useEffect(() => {
    if (date !== today) return;
    const timer = setInterval(() => {
      if (!document.hidden) asked.again();
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [date, today]);
  useEffect(() => {
    if (date === today && alertsChanged.value > 0) asked.again();
  }, [alertsChanged.value]);
  const of = asked.value;
  return (
    <div class="day pad-view">
      <header class="day-head">
        <h1>{dayName(date)}</h1>
        <div class="row">
          <button type="button" aria-label="The day before" onClick={() => go("day", addDays(date, -1))}>
            ←
          </button>
          <input type="date" aria-label="Day" value={date} max={today} onChange={(event) => event.currentTarget.value && go("day", event.currentTarget.value)} />
          <button type="button" aria-label="The day after" disabled={date >= today} onClick={() => go("day", addDays(date, 1))}>
            →
          </button>
          <button type="button" disabled={date === today} onClick={() => go("day")}>
            Today
          </button>
        </div>
      </header>
      {asked.why && <Trouble again={asked.again}>{asked.why}</Trouble>}
      {!of && !asked.why && <p class="dim">One moment…</p>}
      {of && <OneDay of={of} />}
    </div>
  );
}

function OneDay({ of }: { of: DayData }): JSX.Element {
  const { code, digits } = currency.value;
  const whole = { from: Date.parse(of.from), to: Date.parse(of.to) };
  const marks = useMemo(() => marksOf(of, (amount) => money(amount, code, digits)), [of, code]);
  const lanes = useMemo(() => lanesOf(of), [of.motion.length > 0]);
  if (marks.length === 0) {
    return <Empty title="Nothing happened on this day">Openings, receipts, payments and alerts of a day appear here together, on one time.</Empty>;
  }
  const sum = (value: (hour: DayData["hours"][number]) => number): number => of.hours.reduce((all, hour) => all + value(hour), 0);
  const open = of.alerts.filter((alert) => alert.state === "open").length;
  return (
    <>
      <dl class="totals">
        <Total name="Payments" value={count(sum((hour) => hour.sales))} more={money(sum((hour) => hour.taken), code, digits)} />
        <Total name="Receipts" value={count(sum((hour) => hour.receipts))} />
        <Total name="Drawer openings" value={count(sum((hour) => hour.openings))} more={`${of.openings.filter((one) => one.cause === "none").length} that nothing kicked`} />
        <Total name="Alerts" value={count(open)} more={of.alerts.length > open ? `${of.alerts.length - open} explained` : ""} />
      </dl>
      {!of.complete && <Trouble>This day has more records than are looked at; its end is missing here.</Trouble>}
      {of.left_out > 0 && <p class="small dim">{many(of.left_out, "mark")} more are counted, but not drawn.</p>}
      <section class="card" aria-label="Timeline">
        <Timeline key={of.date} lanes={lanes} marks={marks} whole={whole} zone={of.timezone} label={`Timeline of ${dayName(of.date)}`} />
      </section>
      <div class="plots">
        <section class="card" aria-label="By hour">
          <h2>By hour</h2>
          <HourPlot of={of} />
        </section>
        <section class="card" aria-label="By person">
          <h2>By person</h2>
          <StaffPlot of={of} />
        </section>
      </div>
      <div class="plots">
        <Openings of={of} />
        <AlertTable of={of} />
      </div>
    </>
  );
}

function Total({ name, value, more }: { name: string; value: string; more?: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <b class="num">{value}</b> {more && <span class="dim num">{more}</span>}
      </dd>
    </div>
  );
}

function lanesOf(of: DayData): Lane[] {
  const lanes = [
    { key: "alerts", name: "Alerts" },
    { key: "till", name: "Till" },
    { key: "paper", name: "Paper" },
    { key: "drawer", name: "Drawer" },
  ];
  if (of.motion.length > 0 || cameras.value.length > 0) lanes.push({ key: "motion", name: "Motion" });
  return lanes;
}

function marksOf(of: DayData, amount: (of: number | null) => string): Mark[] {
  const end = Math.min(Date.parse(of.to), registerNow());
  const moment = (lane: string, at: string, words: string, strong = false, link: string | null = null): Mark => {
    const ms = Date.parse(at);
    return { lane, from: ms, to: ms, words, strong, link };
  };
  return [
    ...of.alerts.map((alert) =>
      moment("alerts", alert.at, `${kindWords(alert.kind)} ${alert.score.toFixed(2)} ${alert.staff_id ?? ""}`, alert.severity === "critical" && alert.state === "open", address("alerts", alert.alert_id, { list: "all" })),
    ),
    ...of.till.map((told) =>
      moment("till", told.at, `${tillWords(told.event_type)} ${amount(told.amount)} ${told.staff_id ?? ""}`, told.event_type !== "payment_cleared" && told.event_type !== "discount_applied"),
    ),
    ...of.receipts.map((paper) =>
      moment("paper", paper.at, `${paperWords(paper.kind)} ${amount(paper.total)} ${paper.ticket_no ?? ""}`, paper.kind !== "sale", address("receipts", String(paper.seq))),
    ),
    ...of.openings.map((opening) => ({
      lane: "drawer",
      from: Date.parse(opening.from),
      to: opening.to ? Math.min(end, Date.parse(opening.to)) : end,
      words: `open, ${causeWords(opening.cause)}`,
      strong: opening.cause === "none",
      link: opening.alert_id ? address("alerts", opening.alert_id, { list: "all" }) : null,
    })),
    ...of.motion.map((moves) => ({
      lane: "motion",
      from: Date.parse(moves.from),
      to: moves.to ? Math.min(end, Date.parse(moves.to)) : end,
      words: `something moves before ${cameras.value.find((camera) => camera.camera === moves.camera)?.name ?? `camera ${moves.camera}`}`,
      strong: false,
      link: null,
    })),
  ];
}

function HourPlot({ of }: { of: DayData }): JSX.Element {
  // Hours without anything at both ends are left out, but for one.
  const busy = of.hours.map((hour) => hour.sales + hour.receipts + hour.openings + hour.alerts > 0);
  const first = Math.max(0, Math.min(busy.indexOf(true) - 1, of.hours.length - 12));
  const last = Math.min(of.hours.length, Math.max(busy.lastIndexOf(true) + 2, first + 12));
  const hours = of.hours.slice(first, last);
  return (
    <Bars
      title="Counts by hour"
      labels={hours.map((hour) => minutes(Date.parse(hour.from), of.timezone).slice(0, 2))}
      series={[
        { name: "Payments", values: hours.map((hour) => hour.sales), colour: "--accent" },
        { name: "Openings", values: hours.map((hour) => hour.openings), colour: "--bar-2" },
        { name: "Alerts", values: hours.map((hour) => hour.alerts), colour: "--bad" },
      ]}
    />
  );
}

const PEOPLE_SHOWN = 12;

function StaffPlot({ of }: { of: DayData }): JSX.Element {
  const people = of.staff.slice(0, PEOPLE_SHOWN);
  if (people.length === 0) return <Empty title="Nobody is named">The till names nobody in its events of this day.</Empty>;
  return (
    <>
      <Bars
        title="Counts by person"
        labels={people.map((one) => one.staff_id)}
        series={[
          { name: "Payments", values: people.map((one) => one.sales), colour: "--accent" },
          { name: "Voids, refunds, no-sales", values: people.map((one) => one.voids + one.refunds + one.no_sales), colour: "--bar-2" },
          { name: "Alerts", values: people.map((one) => one.alerts), colour: "--bad" },
        ]}
      />
      {of.staff.length > PEOPLE_SHOWN && <p class="small dim">{of.staff.length - PEOPLE_SHOWN} more with fewer alerts.</p>}
    </>
  );
}

function Openings({ of }: { of: DayData }): JSX.Element {
  const [only, setOnly] = useState(false);
  const [shown, setShown] = useState(OPENINGS_SHOWN);
  const all = of.openings.filter((opening) => !only || opening.cause !== "sale").reverse();
  return (
    <section class="card" aria-label="Openings">
      <header class="row between">
        <h2>Openings and their causes</h2>
        <label class="check small">
          <input type="checkbox" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} /> only without a sale
        </label>
      </header>
      {all.length === 0 && <Empty title="None">{only ? "Every opening of this day lies beside a sale." : "The drawer was not opened on this day."}</Empty>}
      <table class="list">
        <thead class={all.length === 0 ? "sr" : ""}>
          <tr>
            <th scope="col">Opened</th>
            <th scope="col">For</th>
            <th scope="col">Cause</th>
            <th scope="col">
              <span class="sr">Alert</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, shown).map((opening) => (
            <tr key={opening.seq}>
              <td>
                <At at={opening.from} />
              </td>
              <td class="num">{opening.to ? span(Date.parse(opening.to) - Date.parse(opening.from)) : "open still"}</td>
              <td>
                <State mark={opening.cause === "none" ? "bad" : opening.cause === "sale" ? "ok" : "warn"}>{causeWords(opening.cause)}</State>
              </td>
              <td>{opening.alert_id && <a href={address("alerts", opening.alert_id, { list: "all" })}>alert</a>}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {all.length > shown && (
        <button type="button" class="quiet" onClick={() => setShown(shown + 200)}>
          Show more of {all.length - shown}
        </button>
      )}
    </section>
  );
}

function AlertTable({ of }: { of: DayData }): JSX.Element {
  const [shown, setShown] = useState(OPENINGS_SHOWN);
  const all = [...of.alerts].sort((a, b) => b.score - a.score || b.at.localeCompare(a.at));
  return (
    <section class="card" aria-label="Alerts of the day">
      <header class="row between">
        <h2>Alerts, the most suspicious first</h2>
      </header>
      {all.length === 0 && <Empty title="No alerts">All witnesses agreed on this day.</Empty>}
      <table class="list">
        <tbody>
          {all.slice(0, shown).map((alert) => (
            <tr key={alert.alert_id}>
              <td>
                <At at={alert.at} />
              </td>
              <td>
                <a href={address("alerts", alert.alert_id, { list: "all" })}>{kindWords(alert.kind)}</a>
                {alert.state === "cleared" && <span class="dim"> explained</span>}
              </td>
              <td class="dim cut">{alert.staff_id}</td>
              <td>
                <Severity of={alert.severity} score={alert.score} bare />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {all.length > shown && (
        <button type="button" class="quiet" onClick={() => setShown(shown + 200)}>
          Show more of {all.length - shown}
        </button>
      )}
    </section>
  );
}

