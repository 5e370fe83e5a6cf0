/** A clip beside what was printed and what happened, all on one time. */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { beginAt, lineAt, lineTimes, litAt } from "../core/paper";
import { span } from "../core/time";
import { clipState, paperWords } from "../core/words";
import { Failure, get } from "../io/api";
import { whyNot } from "../io/session";
import { cameras } from "../io/store";
import type { Clip, ClipTimes, Item } from "../io/types";
import { Player, type Tick } from "../player/player";
import { At, Empty, Money, State, Trouble } from "../ui/bits";
import { useLoad, type Loaded } from "../ui/load";
import { SyncedEvents, sentence } from "./events";
import { Paper } from "./paper";

/** Events so long before and behind the clip are shown too: they tell what it was about. */
const AROUND_MS = 30_000;
const POLL_MS = 2_000;
/** What a reader of a clip is not interested in. */
const NOT_SHOWN = new Set(["review", "finding", "clock_correction", "started", "stopped"]);

interface Props {
  clipId: string;
  /** When the cause happened, for events when there is no clip. */
  at: string;
  evidence: number[];
  ticket: string | null;
}

interface Film {
  clip: Clip;
  times: ClipTimes;
}

async function film(id: string, signal: AbortSignal): Promise<Film> {
  const clip = await get<Clip>(`/api/clips/${id}`, { signal });
  if (clip.cameras.length === 0) return { clip, times: { clip_id: id, version: "", recording: false, from: clip.from, cameras: [] } };
  const times = await get<ClipTimes>(`/api/clips/${id}/frames`, { signal });
  return { clip, times };
}

export function Footage({ clipId, at, evidence, ticket }: Props): JSX.Element {
  const blocked = whyNot("footage");
  const shown = useLoad<Film>(blocked ? null : clipId, (signal) => film(clipId, signal));
  const recording = shown.value?.clip.state === "recording";
  useEffect(() => {
    if (!recording) return;
    const timer = setTimeout(shown.again, POLL_MS);
    return () => clearTimeout(timer);
  }, [recording, shown.value]);

  const cause = Date.parse(at);
  const clip = shown.value?.clip ?? null;
  const from = clip ? Date.parse(clip.from) : cause - AROUND_MS;
  const to = clip ? Date.parse(clip.to) : cause + AROUND_MS;
  const settled = clip !== null || shown.why !== null || blocked !== null;
  const iso = (ms: number): string => new Date(ms).toISOString();
  const range = `/api/events/range?start=${iso(Math.min(from, cause) - AROUND_MS)}&end=${iso(Math.max(to, cause) + AROUND_MS)}&limit=1000`;
  // The window's end may lie ahead: asked again when the clip is complete.
  const happened = useLoad<Item[]>(settled ? `${range} ${clip?.state ?? ""}` : null, (signal) => get<Item[]>(range, { signal }));
  const items = useMemo(() => (happened.value ?? []).filter((item) => !NOT_SHOWN.has(item.kind)), [happened.value]);

  const seekRef = useRef<((ms: number) => void) | null>(null);
  const [place, setPlace] = useState(0);
  const duration = Math.max(0, to - from);
  const placeOf = (item: Item): number => Date.parse(item.at) - from;
  const isEvidence = useMemo(() => new Set(evidence), [evidence.join()]);
  const moments = useMemo(() => items.map((item) => ({ key: String(item.seq), ms: placeOf(item) })), [items, from]);
  const lit = litAt(moments, place);
  const ticks: Tick[] = useMemo(
    () =>
      items
        .filter((item) => item.kind !== "alert" && item.kind !== "not_judged")
        .map((item) => ({ key: String(item.seq), ms: placeOf(item), words: sentence(item), strong: isEvidence.has(item.seq) }))
        .filter((tick) => tick.ms >= 0 && tick.ms <= duration),
    [items, from, duration, isEvidence],
  );
  const seek = (ms: number): void => seekRef.current?.(ms);
  const playable = clip !== null && (shown.value?.times.cameras.length ?? 0) > 0;

  return (
    <div class="footage">
      <section class="film" aria-label="Footage">
        {shown.value && playable ? (
          <>
            <Player
              key={`${clipId} ${shown.value.times.version}`}
              clip={shown.value.clip}
              times={shown.value.times}
              begin={beginAt(cause - from, duration, shown.value.times.cameras.flatMap((of) => of.ms.slice(0, 1)))}
              ticks={ticks}
              onPlace={setPlace}
              seekRef={seekRef}
            />
            <ClipNotes clip={shown.value.clip} />
          </>
        ) : (
          <NoFilm film={shown} blocked={blocked} />
        )}
      </section>
      <section class="printed" aria-label="Receipts">
        <Papers items={items} from={from} place={place} duration={duration} evidence={isEvidence} ticket={ticket} busy={happened.busy} seek={playable ? seek : null} />
      </section>
      <section class="happened" aria-label="What happened">
        <h3>What happened</h3>
        {happened.why && <Trouble again={happened.again}>{happened.why}</Trouble>}
        <SyncedEvents items={items} place={placeOf} cause={cause - from} duration={playable ? duration : -1} lit={playable ? lit : new Set()} evidence={isEvidence} onItem={seek} />
      </section>
    </div>
  );
}

function NoFilm({ film: of, blocked }: { film: Loaded<Film>; blocked: string | null }): JSX.Element {
  if (blocked) return <Empty title="Footage is not shown">{blocked}</Empty>;
  if (of.busy && !of.value) return <div class="screen-blank" aria-busy="true" />;
  const clip = of.value?.clip;
  if (clip?.state === "recording") {
    return (
      <Empty title="Being recorded">
        The clip ends at <At at={clip.to} /> and appears here by itself.
      </Empty>
    );
  }
  if (clip) return <Empty title={`This clip is ${clipState(clip.state)}`}>{clip.reason ?? "No picture was captured in its time."}</Empty>;
  if (of.error instanceof Failure && of.error.status === 410) return <Empty title="This clip is not there any more">{of.why}</Empty>;
  if (of.error instanceof Failure && of.error.status === 404) {
    return cameras.value.length === 0 ? (
      <Empty title="No footage">No camera is configured on this register; with one, the minute around an alert is shown here.</Empty>
    ) : (
      <Empty title="No footage">No clip was asked for: the alert was explained before, or it is from before there was a camera.</Empty>
    );
  }
  return <Trouble again={of.again}>{of.why}</Trouble>;
}

function ClipNotes({ clip }: { clip: Clip }): JSX.Element | null {
  const notes = [
    clip.state === "recording" && "More is being recorded.",
    clip.reason,
    clip.thinned && "Of what came before the alert one picture a second is left.",
    clip.held && `Kept by ${clip.held}.`,
  ].filter((note): note is string => !!note);
  return notes.length === 0 ? null : <p class="dim small">{notes.join(" ")}</p>;
}

/** What the till says was in the basket, where there is no paper that could say it. */
function Sold({ item }: { item: Item }): JSX.Element {
  return (
    <div class="card" role="group" aria-label="What the till says">
      <h3>What the till says</h3>
      <table class="sold">
        <tbody>
          {item.pos?.items.map((of, n) => (
            <tr key={n}>
              <td>
                {of.quantity !== null && of.quantity !== 1 && `${of.quantity} × `}
                {of.name ?? of.sku}
              </td>
              <td>
                <Money of={of.total_price} />
              </td>
            </tr>
          ))}
          <tr class="sum">
            <td>{sentence({ ...item, pos: item.pos ? { ...item.pos, amount: null } : item.pos } as Item)}</td>
            <td>
              <Money of={item.pos?.amount} />
            </td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}

interface PapersProps {
  items: Item[];
  from: number;
  place: number;
  duration: number;
  evidence: Set<number>;
  ticket: string | null;
  busy: boolean;
  seek: ((ms: number) => void) | null;
}

function Papers({ items, from, place, duration, evidence, ticket, busy, seek }: PapersProps): JSX.Element {
  const printed = useMemo(() => {
    const rank = (item: Item): number =>
      evidence.has(item.seq) ? 0 : ticket !== null && item.ticket_no === ticket ? 1 : 2;
    const middle = from + duration / 2;
    const near = (item: Item): number => Math.abs(Date.parse(item.at) - middle);
    return items.filter((item) => item.receipt).sort((a, b) => rank(a) - rank(b) || near(a) - near(b)).slice(0, 6);
  }, [items, evidence, ticket, from, duration]);
  const [chosen, setChosen] = useState<number | null>(null);
  // Where all lines have the same moment, the one that led there is lit.
  const [picked, setPicked] = useState<{ seq: number; line: number } | null>(null);
  const belongs = (of: Item): boolean => evidence.has(of.seq) || (ticket !== null && of.ticket_no === ticket);
  const item = printed.find((of) => of.seq === chosen) ?? printed.find(belongs);
  const choice = printed.length > (item && printed.length === 1 ? 1 : 0) && (
    <div class="tabs small" role="group" aria-label="Receipts around this time">
      {printed.map((of) => (
        <button key={of.seq} type="button" aria-pressed={of === item} onClick={() => setChosen(of === item ? null : of.seq)}>
          {paperWords(of.receipt?.kind ?? "")} <At at={of.at} />
          {belongs(of) && <span class="sr"> belongs to it</span>}
        </button>
      ))}
    </div>
  );
  if (!item?.receipt) {
    if (busy && items.length === 0) return <div class="paper-none" aria-busy="true" />;
    const told = items.find((of) => evidence.has(of.seq) && (of.pos?.items.length ?? 0) > 0);
    return (
      <>
        <div class="paper-none">
          <Empty title={ticket ? "No paper belongs to it" : "Nothing was printed for it"}>
            {ticket ? `Nothing with the number ${ticket} came out of the printer around this time.` : "No document of the printer belongs to what happened here."}
          </Empty>
        </div>
        {told?.pos && <Sold item={told} />}
        {printed.length > 0 && (
          <>
            <p class="small dim">What else was printed around this time:</p>
            {choice}
          </>
        )}
      </>
    );
  }
  const { receipt } = item;
  const began = Date.parse(receipt.began_at) - from;
  const ended = Date.parse(item.at) - from;
  const inside = seek !== null && ended >= 0 && began <= duration;
  const printing = inside ? lineAt(receipt.lines.length, began, ended, place) : null;
  const times = lineTimes(receipt.lines.length, began, ended);
  return (
    <>
      {choice}
      <Paper
        receipt={receipt}
        lit={printing === "all" ? (picked?.seq === item.seq ? picked.line : "all") : printing}
        {...(inside
          ? {
              onLine: (line: number) => {
                setPicked({ seq: item.seq, line });
                seek?.(times[line] ?? began);
              },
            }
          : {})}
        label={`${paperWords(receipt.kind)} ${item.ticket_no ?? ""}`}
      />
      <p class="dim small">
        {inside ? (
          <>
            Printed at <At at={item.at} /> within {span(Math.max(0, ended - began)) === "0 s" ? "a second" : span(ended - began)}; a line leads to its moment.
          </>
        ) : (
          <State mark="off">
            Printed at <At at={item.at} />
            {seek && ", outside the clip"}
          </State>
        )}
      </p>
    </>
  );
}
