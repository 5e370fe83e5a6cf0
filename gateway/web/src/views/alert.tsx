/** One alert: why it has its score, what was seen, and the verdict. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { score } from "../core/money";
import { DELIVERY, kindWords, nth } from "../core/words";
import { change, get, words } from "../io/api";
import { whyNot } from "../io/session";
import { alertsChanged, alertsStale, currency, newest, queue } from "../io/store";
import { money } from "../core/money";
import type { Alert, Contribution } from "../io/types";
import { Act, At, Facts, Money, Severity, State, Trouble } from "../ui/bits";
import { useCommands } from "../ui/keys";
import { useLoad } from "../ui/load";
import { say } from "../ui/toast";
import { Footage } from "./footage";

/** Notes that are being written, by alert: they outlive a look at another one. */
const drafts = signal<Record<string, string>>({});
const NOTE_BYTES = 2_000;
/** The last one judged, for those who want to change it. */
const lastJudged = signal<string | null>(null);

interface Props {
  id: string;
  /** From the list, to be shown at once. */
  known: Alert | null;
  onJudged: (id: string) => void;
  onOpen: (id: string) => void;
}

export function AlertDetail({ id, known, onJudged, onOpen }: Props): JSX.Element {
  const asked = useLoad<Alert>(id, (signal_) => get<Alert>(`/api/alerts/${id}`, { signal: signal_ }));
  // A new revision or verdict is shown as it comes.
  useEffect(() => {
    if (alertsChanged.value > 0) asked.again();
  }, [alertsChanged.value]);
  const alert = asked.value ?? known;
  if (!alert) {
    return asked.why ? <Trouble again={asked.again}>{asked.why}</Trouble> : <p class="dim pad">One moment…</p>;
  }
  return (
    <article class="alert-detail" aria-labelledby="alert-title">
      <header class="alert-head">
        <div>
          <h2 id="alert-title">{kindWords(alert.kind)}</h2>
          <p class="dim">
            <At at={alert.at} long />
            {alert.revision > 1 && ` · revision ${alert.revision}`}
          </p>
        </div>
        <p class="big-score">
          <b class="num">{score(alert.score)}</b>
          <Severity of={alert.severity} />
        </p>
      </header>
      {alert.state === "cleared" && (
        <p class="cleared">
          <State mark="ok">Explained: {alert.cleared_because}</State>
        </p>
      )}
      <div class="why-and-what">
        <section aria-label="Why">
          <h3>Why</h3>
          <Points of={alert.contributions} total={alert.score} />
        </section>
        <section aria-label="What">
          <h3 class="sr">What</h3>
          <Facts of={facts(alert)} />
        </section>
      </div>
      <Footage clipId={alert.clip_id} at={alert.at} evidence={alert.evidence.map((of) => of.seq)} ticket={alert.ticket_no} />
      <Verdict alert={alert} onJudged={onJudged} onOpen={onOpen} onChanged={asked.again} />
    </article>
  );
}

function facts(alert: Alert): [string, JSX.Element | string][] {
  const all: [string, JSX.Element | string][] = [];
  if (alert.amount !== null) {
    const before = alert.original_amount;
    all.push([
      "Amount",
      <>
        <Money of={alert.amount} />
        {before !== null && (
          <span class="dim">
            {" "}
            was <Money of={before} />
          </span>
        )}
      </>,
    ]);
  }
  if (alert.staff_id) {
    const today = alert.staff_alerts_today;
    all.push(["Staff", today ? `${alert.staff_id}, ${nth(today)} alert today` : alert.staff_id]);
  }
  if (alert.order_id) all.push(["Order", alert.order_id]);
  if (alert.ticket_no) all.push(["Ticket", alert.ticket_no]);
  const delivery = DELIVERY[alert.delivery];
  all.push([
    "Head office",
    <span title={delivery?.means}>
      {delivery?.word ?? alert.delivery}
    </span>,
  ]);
  return all;
}

/** What adds up to the score. */
function Points({ of, total }: { of: Contribution[]; total: number }): JSX.Element {
  const most = Math.max(1, of.reduce((sum, one) => sum + Math.max(0, one.points), 0));
  const sum = of.reduce((all, one) => all + one.points, 0);
  return (
    <ul class="points">
      {of.map((one) => (
        <li key={one.rule + one.text}>
          <span class="num">{one.points > 0 ? `+${score(one.points)}` : score(one.points)}</span>
          <span class="bar" aria-hidden="true">
            <span style={{ width: `${((Math.max(0, one.points) / most) * 100).toFixed(1)}%` }} />
          </span>
          <span>{one.text}</span>
        </li>
      ))}
      {sum > total + 0.001 && (
        <li class="dim">
          <span class="num">= {score(total)}</span>
          <span />
          <span>the score ends at {score(total)}</span>
        </li>
      )}
    </ul>
  );
}

interface VerdictProps {
  alert: Alert;
  onJudged: (id: string) => void;
  onOpen: (id: string) => void;
  onChanged: () => void;
}

function Verdict({ alert, onJudged, onOpen, onChanged }: VerdictProps): JSX.Element {
  const { alert_id: id, review } = alert;
  const [busy, setBusy] = useState(false);
  const [why, setWhy] = useState<string | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  // Where there is little room the note takes some only when it is wanted.
  const [noting, setNoting] = useState(false);
  useEffect(() => {
    if (noting) field.current?.focus();
  }, [noting]);
  const note = drafts.value[id] ?? review?.note ?? "";
  const not = whyNot("review");
  const tooLong = new TextEncoder().encode(note).length > NOTE_BYTES;
  const setNote = (text: string): void => {
    drafts.value = { ...drafts.value, [id]: text };
  };
  const judge = (verdict: "legitimate" | "confirmed"): void => {
    if (not || busy || tooLong) return;
    setBusy(true);
    setWhy(null);
    change<Alert>("POST", `/api/alerts/${id}/review`, { verdict, note })
      .then((judged) => {
        const { [id]: _, ...others } = drafts.value;
        drafts.value = others;
        lastJudged.value = id;
        const amount = money(alert.amount, currency.value.code, currency.value.digits);
        say(`${kindWords(alert.kind)}${amount ? ` ${amount}` : ""}: ${verdict}.`, { words: "Change (u)", run: () => onOpen(id) });
        onJudged(id);
        // Shown at once; the lists follow.
        newest.value = newest.value?.map((of) => (of.alert_id === id ? judged : of)) ?? null;
        queue.value = queue.value?.filter((of) => of.alert_id !== id) ?? null;
        onChanged();
        alertsStale();
      })
      .catch((error: unknown) => setWhy(words(error)))
      .finally(() => setBusy(false));
  };
  useCommands("Verdict", [
    { keys: ["l"], words: "Legitimate, and on to the next", run: () => judge("legitimate") },
    { keys: ["c"], words: "Confirmed, and on to the next", run: () => judge("confirmed") },
    { keys: ["n"], words: "Write a note", run: () => field.current?.focus() },
    { keys: ["u"], words: "Back to the last one judged", run: () => lastJudged.value && onOpen(lastJudged.value) },
  ]);
  return (
    <section class={`verdict ${noting || note !== "" ? "noting" : ""}`} aria-label="Verdict">
      {review && (
        <p class="given">
          <State mark={review.verdict === "confirmed" ? "bad" : "ok"}>
            {review.reviewer} judged it <b>{review.verdict}</b>
            {review.note && `: ${review.note}`}
          </State>
          <span class="dim small"> Another verdict takes its place; both stay in the log.</span>
        </p>
      )}
      {why && <Trouble>{why}</Trouble>}
      <div class="verdict-row">
        <label class="note">
          <span class="sr">Note</span>
          <textarea
            ref={field}
            rows={1}
            placeholder="Note (n)"
            value={note}
            disabled={not !== null}
            aria-invalid={tooLong}
            onInput={(event) => setNote(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
          {tooLong && <span class="small trouble-text">At most {NOTE_BYTES} bytes are kept.</span>}
        </label>
        <button type="button" class="note-button" aria-expanded={noting} onClick={() => setNoting(!noting)}>
          Note
        </button>
        <Act not={not ?? (busy ? "One moment…" : null)} pressed={review?.verdict === "legitimate"} onClick={() => judge("legitimate")} hint="Legitimate (l)">
          Legitimate <kbd>l</kbd>
        </Act>
        <Act not={not ?? (busy ? "One moment…" : null)} class="main" pressed={review?.verdict === "confirmed"} onClick={() => judge("confirmed")} hint="Confirmed (c)">
          Confirmed <kbd>c</kbd>
        </Act>
      </div>
      {not && <p class="small dim">{not}</p>}
    </section>
  );
}
