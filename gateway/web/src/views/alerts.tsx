/** What somebody should look at: the queue or all alerts on one side, one of them on the other. */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, many } from "../core/money";
import { rowsSeen, scrollTo } from "../core/rows";
import { kindWords } from "../core/words";
import { get, words } from "../io/api";
import { go, route } from "../io/router";
import { address } from "../core/route";
import { alertsChanged, listProblem, loadQueue, queue, queueLeftOut } from "../io/store";
import type { Alert } from "../io/types";
import { At, Empty, Icon, Money, Severity, Trouble } from "../ui/bits";
import { useCommands } from "../ui/keys";
import { AlertDetail } from "./alert";

const PAGE = 200;
/** As the style sheet has it. */
const ROW = 62;

interface Pages {
  alerts: Alert[];
  /** There is nothing older. */
  end: boolean;
  why: string | null;
  more: () => void;
}

/** All alerts, page by page; new ones and verdicts are taken in at the top. */
function usePages(on: boolean): Pages {
  const [alerts, setAlerts] = useState<Alert[]>([]);
  const [end, setEnd] = useState(false);
  const [why, setWhy] = useState<string | null>(null);
  const busy = useRef(false);
  const load = (before: string | null): void => {
    if (busy.current) return;
    busy.current = true;
    get<Alert[]>(`/api/alerts?limit=${PAGE}${before ? `&before=${before}` : ""}`)
      .then((page) => {
        setWhy(null);
        if (before) {
          if (page.length < PAGE) setEnd(true);
          setAlerts((old) => [...old, ...page]);
        } else {
          if (page.length < PAGE) setEnd(true);
          setAlerts((old) => {
            const fresh = new Set(page.map((alert) => alert.alert_id));
            // More came at once than a page holds: what is between is fetched as older ones are.
            if (page.length === PAGE && !old.some((alert) => fresh.has(alert.alert_id))) {
              setEnd(false);
              return page;
            }
            const rest = old.slice(Math.max(0, old.findIndex((alert) => fresh.has(alert.alert_id))));
            return [...page, ...rest.filter((alert) => !fresh.has(alert.alert_id))];
          });
        }
      })
      .catch((error: unknown) => setWhy(words(error)))
      .finally(() => {
        busy.current = false;
      });
  };
  useEffect(() => {
    if (on) load(null);
  }, [on, alertsChanged.value]);
  const more = (): void => {
    const last = alerts[alerts.length - 1];
    if (!end && last) load(last.alert_id);
  };
  return { alerts, end, why, more };
}

export function Alerts(): JSX.Element {
  const all = route.value.query["list"] === "all";
  const { id } = route.value;
  const pages = usePages(all);
  const list = all ? pages.alerts : (queue.value ?? []);
  const at = list.findIndex((alert) => alert.alert_id === id);
  // What is open stays beside the list though it has left the queue.
  const known = list[at];
  const query: Record<string, string> = all ? { list: "all" } : {};
  const open = (alert: Alert | undefined, replace = false): void => {
    if (alert) go("alerts", alert.alert_id, query, replace);
  };
  // Where it was in the list: the next one is the one that moved up.
  const lastAt = useRef(0);
  if (at >= 0) lastAt.current = at;
  const next = (by: 1 | -1): void => open(list[at < 0 ? (by > 0 ? lastAt.current : lastAt.current - 1) : at + by]);

  // The first one is opened by itself where there is room for both.
  const wide = typeof matchMedia === "function" && matchMedia("(min-width: 900px)").matches;
  const first = list[0];
  useEffect(() => {
    if (wide && !id && first) open(first, true);
  }, [wide, id, first?.alert_id]);

  useCommands("Alerts", [
    { keys: ["j", "ArrowDown"], words: "Next alert", run: () => next(1) },
    { keys: ["k", "ArrowUp"], words: "Alert before", run: () => next(-1) },
    { keys: ["q"], words: all ? "Only what is to review" : "All alerts", run: () => go("alerts", id, all ? {} : { list: "all" }) },
  ]);

  const judged = (of: string): void => {
    const here = list.findIndex((alert) => alert.alert_id === of);
    const then = list[here + 1] ?? list[here - 1];
    if (then && here >= 0) open(then);
  };

  return (
    <div class={`alerts ${id ? "one" : ""}`}>
      <h1 class="sr">Alerts</h1>
      <aside class="list-side" aria-label={all ? "All alerts" : "Alerts to review"}>
        <div class="tabs" role="group" aria-label="Which alerts">
          <button type="button" aria-pressed={!all} onClick={() => go("alerts", id)}>
            To review {queue.value && <span class="num dim">{queue.value.length}</span>}
          </button>
          <button type="button" aria-pressed={all} onClick={() => go("alerts", id, { list: "all" })}>
            All
          </button>
        </div>
        {all ? (
          <>
            {pages.why && <Trouble again={pages.more}>{pages.why}</Trouble>}
            <AlertList alerts={pages.alerts} open={id} query={query} onEnd={pages.more} />
            <p class="foot dim small">{pages.end ? many(pages.alerts.length, "alert") : `${count(pages.alerts.length)} shown, older ones follow`}</p>
          </>
        ) : (
          <>
            {listProblem.value && <Trouble again={() => void loadQueue()}>{listProblem.value}</Trouble>}
            {queue.value?.length === 0 && (
              <Empty title="Nothing to review">
                The most suspicious alerts of each day wait here for a verdict. <a href={address("alerts", null, { list: "all" })}>All alerts</a> are kept.
              </Empty>
            )}
            <AlertList alerts={list} open={id} query={query} />
            {queueLeftOut.value > 0 && (
              <p class="foot dim small">
                {count(queueLeftOut.value)} more are less suspicious and left out; <a href={address("alerts", null, { list: "all" })}>all alerts</a> has them.
              </p>
            )}
          </>
        )}
      </aside>
      <div class="detail-side">
        {id ? (
          <>
            <a class="back-link" href={address("alerts", null, query)}>
              <Icon of="back" size={16} /> Alerts
            </a>
            <AlertDetail key={id} id={id} known={known ?? null} onJudged={judged} onOpen={(of) => go("alerts", of, query)} />
          </>
        ) : (
          list.length > 0 && <Empty title="No alert is open">Choose one from the list.</Empty>
        )}
      </div>
    </div>
  );
}

interface ListProps {
  alerts: Alert[];
  open: string | null;
  query: Record<string, string>;
  onEnd?: () => void;
}

/** Draws only the rows that are seen: ten thousand are as quick as ten. */
function AlertList({ alerts, open, query, onEnd }: ListProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 800 });
  const rows = rowsSeen(alerts.length, ROW, seen.top, seen.height);
  const look = (): void => {
    const of = box.current;
    if (!of) return;
    setSeen({ top: of.scrollTop, height: of.clientHeight });
    if (onEnd && of.scrollHeight - of.scrollTop - of.clientHeight < 20 * ROW) onEnd();
  };
  useEffect(() => {
    look();
    const of = box.current;
    if (!of || typeof ResizeObserver === "undefined") return;
    const watch = new ResizeObserver(look);
    watch.observe(of);
    return () => watch.disconnect();
  }, [alerts.length]);
  // What the keys open is seen.
  const at = alerts.findIndex((alert) => alert.alert_id === open);
  useEffect(() => {
    const of = box.current;
    if (of && at >= 0) of.scrollTop = scrollTo(at, ROW, of.scrollTop, of.clientHeight);
  }, [at]);
  // Rows that come at the top do not push away what is read.
  const top = useRef<string | null>(null);
  const firstId = alerts[0]?.alert_id ?? null;
  useEffect(() => {
    const of = box.current;
    const came = alerts.findIndex((alert) => alert.alert_id === top.current);
    if (of && came > 0 && of.scrollTop > ROW) of.scrollTop += came * ROW;
    top.current = firstId;
  }, [firstId]);
  const drawn = useMemo(() => alerts.slice(rows.first, rows.end), [alerts, rows.first, rows.end]);
  return (
    <div class="alert-list" ref={box} onScroll={look} tabIndex={-1}>
      <ol style={{ height: `${rows.height}px` }}>
        {drawn.map((alert, n) => (
          <li key={alert.alert_id} aria-setsize={alerts.length} aria-posinset={rows.first + n + 1} style={{ transform: `translateY(${(rows.first + n) * ROW}px)` }}>
            <a href={address("alerts", alert.alert_id, query)} aria-current={alert.alert_id === open ? "true" : undefined}>
              <span class="top">
                <b>{kindWords(alert.kind)}</b>
                <Severity of={alert.severity} score={alert.score} bare />
              </span>
              <span class="below dim">
                <span class="cut">
                  <At at={alert.at} long />
                  {alert.staff_id && ` · ${alert.staff_id}`}
                </span>
                <span>{alert.state === "cleared" ? "explained" : alert.review ? alert.review.verdict : <Money of={alert.amount} />}</span>
              </span>
            </a>
          </li>
        ))}
      </ol>
    </div>
  );
}
