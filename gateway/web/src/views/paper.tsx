/** A receipt as it came out of the printer. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Receipt } from "../io/types";
import { paperWords } from "../core/words";

interface Props {
  receipt: Receipt;
  /** The line that is being printed, or all of them. */
  lit?: number | "all" | null;
  /** Leads to a line's moment. */
  onLine?: (line: number) => void;
  /** Words to underline. */
  words?: string[];
  label: string;
}

export function Paper({ receipt, lit, onLine, words, label }: Props): JSX.Element {
  const list = useRef<HTMLOListElement>(null);
  const marks = new Map(receipt.marks.map((mark) => [mark.line, mark.kind]));
  // One stop for the tab key; arrows lead on within the paper.
  const move = (event: KeyboardEvent): void => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const all = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const next = all[at + by];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
  };
  return (
    <div class="paper-wrap">
      <ol class={`paper ${lit === "all" ? "all-lit" : ""}`} ref={list} aria-label={label} onKeyDown={move}>
        {receipt.lines.map((line, n) => {
          const mark = marks.get(n);
          const text = <span>{line === "" ? " " : underline(line, words ?? [])}</span>;
          const title = mark ? paperWords(mark) : undefined;
          return (
            <li key={n} class={`${lit === n ? "lit" : ""} ${mark ? "marked" : ""}`} title={title}>
              {onLine ? (
                <button type="button" tabIndex={n === (typeof lit === "number" ? lit : 0) ? 0 : -1} aria-current={lit === n ? "true" : undefined} onClick={() => onLine(n)}>
                  {text}
                </button>
              ) : (
                text
              )}
            </li>
          );
        })}
        {receipt.images > 0 && <li class="dim">[{receipt.images === 1 ? "a picture" : `${receipt.images} pictures`}]</li>}
        {receipt.lines.length === 0 && receipt.images === 0 && <li class="dim">(blank)</li>}
      </ol>
      {receipt.damaged && <p class="dim small">Bytes of this document were lost or could not be understood.</p>}
    </div>
  );
}

function underline(line: string, words: string[]): JSX.Element {
  const found = words.filter((word) => word !== "").map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (found.length === 0) return <>{line}</>;
  const parts = line.split(new RegExp(`(${found.join("|")})`, "giu"));
  return <>{parts.map((part, n) => (n % 2 === 1 ? <mark key={n}>{part}</mark> : part))}</>;
}
