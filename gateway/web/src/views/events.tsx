/** Events as a list, and one of them as a line. */

import type { JSX } from "preact";
import { offset } from "../core/time";
import { kindWords, paperWords, tillWords } from "../core/words";
import { money } from "../core/money";
import { address } from "../core/route";
import { currency } from "../io/store";
import type { Item } from "../io/types";
import { At, Severity } from "../ui/bits";

/** Which witness speaks. */
export function speaker(item: Item): string {
  switch (item.kind) {
    case "pos":
      return "till";
    case "drawer":
      return "drawer";
    case "kick":
      return "kick";
    case "drawer_command":
    case "paper_started":
    case "receipt":
      return "paper";
    case "camera_picture":
      return "camera";
    case "alert":
    case "finding":
    case "not_judged":
      return "rule";
    case "review":
      return "person";
    default:
      return "box";
  }
}

/** One sentence for a person; money in the register's currency. */
export function sentence(item: Item): string {
  const { code, digits } = currency.value;
  const amount = (of: number | null | undefined): string => money(of, code, digits);
  switch (item.kind) {
    case "pos": {
      const parts = [tillWords(item.pos?.event_type ?? ""), amount(item.pos?.amount)];
      return parts.filter((part) => part !== "").join(" ");
    }
    case "receipt": {
      const parts = [`${paperWords(item.receipt?.kind ?? "")} printed`, amount(item.receipt?.total)];
      return parts.filter((part) => part !== "").join(", ");
    }
    case "drawer": {
      const open = item.drawer?.state === "open";
      if (item.drawer?.initial) return open ? "Is open" : "Is closed";
      return open ? "Opened" : "Closed";
    }
    case "kick":
      return "Kicked open";
    case "drawer_command":
      return "Drawer command on the printer's line";
    case "paper_started":
      return "Paper began to print";
    case "alert": {
      const kind = kindWords(item.alert?.kind ?? "");
      if (item.alert?.state === "cleared") return `${kind}: explained, no alert any more`;
      return (item.alert?.revision ?? 1) > 1 ? `${kind} (more is known now)` : kind;
    }
    default: {
      const text = item.text;
      return text.charAt(0).toUpperCase() + text.slice(1);
    }
  }
}

/** What else belongs to it. */
function details(item: Item): string {
  return [item.staff_id, item.order_id, item.ticket_no !== item.order_id ? item.ticket_no : null]
    .filter((part): part is string => !!part)
    .join(" · ");
}

export function EventLine({ item }: { item: Item }): JSX.Element {
  const who = speaker(item);
  const to = item.kind === "receipt" ? address("receipts", String(item.seq)) : item.alert_id ? address("alerts", item.alert_id) : null;
  const words = sentence(item);
  return (
    <li class={`event by-${who}`} data-seq={item.seq}>
      <At at={item.at} />
      <span class="who-tag">{who}</span>
      <span class="what">
        {to ? <a href={to}>{words}</a> : words}
        <span class="dim more">{details(item)}</span>
      </span>
      {item.kind === "alert" && item.severity && item.alert?.state !== "cleared" && (
        <Severity of={item.severity} {...(item.score !== undefined ? { score: item.score } : {})} />
      )}
    </li>
  );
}

interface SyncedProps {
  items: Item[];
  /** Places in the clip; those outside cannot be seen. */
  place: (item: Item) => number;
  cause: number;
  duration: number;
  lit: Set<string>;
  evidence: Set<number>;
  onItem: (ms: number) => void;
}

/** Events beside a clip: each leads to its moment, and lights up at it. */
export function SyncedEvents({ items, place, cause, duration, lit, evidence, onItem }: SyncedProps): JSX.Element {
  return (
    <ol class="events synced">
      {items.map((item) => {
        const at = place(item);
        const inside = at >= 0 && at <= duration;
        const isLit = lit.has(String(item.seq));
        const who = speaker(item);
        return (
          <li key={item.seq} class={`event by-${who} ${isLit ? "lit" : ""} ${inside ? "" : "outside"}`}>
            <button type="button" disabled={!inside} aria-current={isLit ? "true" : undefined} title={inside ? "Show this moment" : "The clip does not reach so far"} onClick={() => onItem(at)}>
              <span class="num offset">{offset(at - cause)}</span>
              <span class="who-tag">{who}</span>
              <span class="what">
                {sentence(item)}
                <span class="dim more">{details(item)}</span>
              </span>
              {evidence.has(item.seq) && (
                <span class="evidence" title="The alert rests on this">
                  evidence
                </span>
              )}
            </button>
          </li>
        );
      })}
    </ol>
  );
}

