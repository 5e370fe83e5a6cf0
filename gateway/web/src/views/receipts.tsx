/** What came out of the printer: search by words, one receipt as paper, how well the tap reads. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { many } from "../core/money";
import { address } from "../core/route";
import { paperWords, partState } from "../core/words";
import { get } from "../io/api";
import { go, route } from "../io/router";
import { items, status } from "../io/store";
import type { Item } from "../io/types";
import { Ago, At, Empty, Facts, Icon, Money, State, Trouble } from "../ui/bits";
import { useCommands } from "../ui/keys";
import { useLoad } from "../ui/load";
import { Paper } from "./paper";

const TYPING_MS = 200;
const SHOWN = 200;

export function Receipts(): JSX.Element {
  const asked = route.value.query["q"] ?? "";
  const [text, setText] = useState(asked);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => setText(asked), [asked]);
  useEffect(() => {
    if (text === asked) return;
    const timer = setTimeout(() => go("receipts", null, { q: text }, true), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  // Without words the list is live.
  const newest = items.value.find((item) => item.kind === "receipt")?.seq ?? 0;
  const key = asked === "" ? `newest ${newest}` : `q ${asked}`;
  const found = useLoad<Item[]>(key, (signal) => get<Item[]>(`/api/receipts?limit=${SHOWN}&q=${encodeURIComponent(asked)}`, { signal }));
  const kept = useRef<Item[]>([]);
  if (found.value) kept.current = found.value;
  const list = found.value ?? kept.current;
  const { id } = route.value;
  const open = list.find((item) => String(item.seq) === id) ?? (id ? items.value.find((item) => String(item.seq) === id) : null) ?? null;
  const wide = matchMedia("(min-width: 900px)").matches;
  const shown = open ?? (wide && !id ? (list[0] ?? null) : null);
  const at = list.findIndex((item) => item.seq === shown?.seq);
  const next = (by: number): void => {
    const of = list[at + by];
    if (of) go("receipts", String(of.seq), { q: asked }, true);
  };
  useCommands("Receipts", [
    { keys: ["/"], words: "Search", run: () => field.current?.focus() },
    { keys: ["j", "ArrowDown"], words: "Next receipt", run: () => next(1) },
    { keys: ["k", "ArrowUp"], words: "Receipt before", run: () => next(-1) },
  ]);
  return (
    <div class={`split receipts ${id ? "one" : ""}`}>
      <h1 class="sr">Receipts</h1>
      <aside class="list-side" aria-label="Receipts found">
        <form
          role="search"
          class="search"
          onSubmit={(event) => {
            event.preventDefault();
            const first = list[0];
            if (first) go("receipts", String(first.seq), { q: asked });
          }}
        >
          <label>
            <span class="sr">Words on the receipt</span>
            <input ref={field} type="search" name="q" placeholder="Words on the receipt  ( / )" value={text} maxLength={200} autocomplete="off" onInput={(event) => setText(event.currentTarget.value)} />
          </label>
        </form>
        <p class="foot dim small" role="status">
          {asked === "" ? "The newest receipts" : found.busy ? "Searching…" : `${many(list.length, "receipt")}${list.length === SHOWN ? " or more" : ""} with “${asked}”`}
        </p>
        {found.why && <Trouble again={found.again}>{found.why}</Trouble>}
        {!found.busy && list.length === 0 && !found.why && (
          <Empty title={asked === "" ? "Nothing was printed yet" : "No receipt has these words"}>
            {asked === "" ? "Receipts appear here as the printer prints them, when its tap works." : "All words must be on the receipt; the longest may be the beginning of one."}
          </Empty>
        )}
        <ol class="rows">
          {list.map((item) => (
            <li key={item.seq}>
              <a href={address("receipts", String(item.seq), { q: asked })} aria-current={item.seq === shown?.seq ? "true" : undefined}>
                <span class="top">
                  <b>{paperWords(item.receipt?.kind ?? "")}</b>
                  <Money of={item.receipt?.total} />
                </span>
                <span class="below dim">
                  <span class="cut">
                    <At at={item.at} long />
                    {item.ticket_no && ` · ${item.ticket_no}`}
                  </span>
                  <span class="cut">{item.staff_id}</span>
                </span>
              </a>
            </li>
          ))}
        </ol>
      </aside>
      <div class="detail-side">
        {shown?.receipt ? (
          <>
            <a class="back-link" href={address("receipts", null, { q: asked })}>
              <Icon of="back" size={16} /> Receipts
            </a>
            <OneReceipt item={shown} words={asked.split(/\s+/)} />
          </>
        ) : (
          id && !found.busy && <Empty title="This receipt is not in the list">Search for its words, or look at <a href={address("receipts")}>the newest ones</a>.</Empty>
        )}
        <TapHealth />
      </div>
    </div>
  );
}

function OneReceipt({ item, words }: { item: Item; words: string[] }): JSX.Element | null {
  const { receipt } = item;
  if (!receipt) return null;
  const ended: Record<string, string> = {
    cut: "the paper was cut",
    idle: "nothing more came",
    initialize: "the printer was set back",
    overflow: "it was too long",
    closed: "the line went away",
  };
  return (
    <article class="receipt-detail" aria-label={`${paperWords(receipt.kind)} ${item.ticket_no ?? ""}`}>
      <Paper receipt={receipt} words={words} label="The receipt's lines" />
      <div>
        <h2>
          {paperWords(receipt.kind)} <Money of={receipt.total} />
        </h2>
        <Facts
          of={[
            ["Printed", <At at={item.at} long />],
            ...(item.ticket_no ? ([["Ticket", item.ticket_no]] as [string, string][]) : []),
            ...(item.staff_id ? ([["Staff", item.staff_id]] as [string, string][]) : []),
            ["Drawer", receipt.kicks === 0 ? "not asked for" : receipt.kicks === 1 ? "opened by it" : `asked for ${receipt.kicks} times`],
            ["Ended because", ended[receipt.end] ?? receipt.end],
          ]}
        />
        {item.alert_id && (
          <p>
            <a href={address("alerts", item.alert_id, { list: "all" })}>An alert rests on this receipt</a>
          </p>
        )}
      </div>
    </article>
  );
}

function TapHealth(): JSX.Element | null {
  const part = status.value?.parts["printer"];
  if (!part) return null;
  const last = items.value.find((item) => item.kind === "receipt");
  return (
    <section class="card tap" aria-label="Printer tap">
      <h2>Printer tap</h2>
      <State mark={part.state === "up" ? "ok" : part.state === "down" ? "bad" : "off"}>{partState(part.state)}</State>
      {part.reason && <p class="small">{part.reason}</p>}
      <Facts
        of={[
          ["Where", part.what || "not configured"],
          ["Since", <At at={part.since} long />],
          ["Came back", part.reopened === 0 ? "never had to" : many(part.reopened, "time")],
          ["Last receipt", last ? <Ago at={last.at} /> : "none since this page was opened"],
        ]}
      />
    </section>
  );
}
