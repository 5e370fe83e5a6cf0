/** Small parts that all views share. */

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { ago, clock, moment, utc } from "../core/time";
import { money } from "../core/money";
import { kindWords, severityLevel } from "../core/words";
import { currency, now, zone } from "../io/store";

/** A time of the store; UTC when the pointer rests on it. */
export function At({ at, long, class: name }: { at: string | number; long?: boolean; class?: string }): JSX.Element {
  const ms = typeof at === "number" ? at : Date.parse(at);
  const text = long ? moment(ms, zone.value, now.value) : clock(ms, zone.value);
  return (
    <time class={`num ${name ?? ""}`} dateTime={new Date(ms).toISOString()} title={utc(ms)}>
      {text}
    </time>
  );
}

/** How long ago. Its own component, so that only it is drawn again each second. */
export function Ago({ at }: { at: string | number }): JSX.Element {
  const ms = typeof at === "number" ? at : Date.parse(at);
  return (
    <time class="num" dateTime={new Date(ms).toISOString()} title={`${clock(ms, zone.value)} · ${utc(ms)}`}>
      {ago(ms, now.value)}
    </time>
  );
}

export function Money({ of }: { of: number | null | undefined }): JSX.Element | null {
  const text = money(of, currency.value.code, currency.value.digits);
  return text === "" ? null : <span class="num">{text}</span>;
}

/** Severity as bars and a word: colour only underlines it. */
export function Severity({ of, score, bare }: { of: string; score?: number; bare?: boolean }): JSX.Element {
  const level = severityLevel(of);
  return (
    <span class={`severity s${level}`}>
      <svg viewBox="0 0 16 12" width="16" height="12" aria-hidden="true">
        {[1, 2, 3, 4].map((n) => (
          <rect key={n} x={(n - 1) * 4} y={10 - n * 2.5} width="3" height={2 + n * 2.5} class={n <= level ? "on" : "off"} />
        ))}
      </svg>
      {score !== undefined && <b class="num">{score.toFixed(2)}</b>}
      {bare ? <span class="sr">{of}</span> : <span>{of}</span>}
    </span>
  );
}

export function Kind({ of }: { of: string }): JSX.Element {
  return <>{kindWords(of)}</>;
}

type Mark = "ok" | "bad" | "warn" | "off" | "busy";

/** A state: a shape, and a word beside it. */
export function State({ mark, children }: { mark: Mark; children: ComponentChildren }): JSX.Element {
  return (
    <span class={`state ${mark}`}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        {mark === "ok" && <circle cx="6" cy="6" r="4.500" />}
        {mark === "bad" && <path d="M2.500 2.500l7 7M9.500 2.500l-7 7" />}
        {mark === "warn" && <path d="M6 1.500L11 10.500H1z" />}
        {mark === "off" && <circle cx="6" cy="6" r="4" class="hollow" />}
        {mark === "busy" && <path d="M6 2a4 4 0 1 1-4 4" class="hollow" />}
      </svg>
      <span>{children}</span>
    </span>
  );
}

/** Nothing here: what will come, and why there is nothing. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** What went wrong, in words, with a way on. */
export function Trouble({ children, again }: { children: ComponentChildren; again?: () => void }): JSX.Element {
  return (
    <div class="trouble" role="alert">
      <span>{children}</span>
      {again && (
        <button type="button" class="quiet" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

interface ActProps {
  children: ComponentChildren;
  onClick?: () => void;
  /** Why it cannot be used. It stays reachable, so that the reason can be read. */
  not?: string | null;
  class?: string;
  submit?: boolean;
  label?: string;
  pressed?: boolean;
  hint?: string;
}

/** A button that says why when it cannot be used. */
export function Act({ children, onClick, not, class: name, submit, label, pressed, hint }: ActProps): JSX.Element {
  const reason = useId();
  return (
    <>
      <button
        type={submit ? "submit" : "button"}
        class={name ?? ""}
        aria-label={label}
        aria-pressed={pressed}
        aria-disabled={not ? true : undefined}
        aria-describedby={not ? reason : undefined}
        title={not ?? hint}
        onClick={(event) => {
          if (not) event.preventDefault();
          else onClick?.();
        }}
      >
        {children}
      </button>
      {not && (
        <span class="sr" id={reason}>
          {not}
        </span>
      )}
    </>
  );
}

/** A share of a whole, with words. */
export function Meter({ of, total, label }: { of: number; total: number; label: string }): JSX.Element {
  const share = total > 0 ? Math.min(1, of / total) : 0;
  return (
    <div class="meter" role="img" aria-label={label}>
      <span style={{ width: `${(share * 100).toFixed(1)}%` }} />
    </div>
  );
}

export function Facts({ of }: { of: [string, ComponentChildren][] }): JSX.Element {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Line icons of the page. */
const ICONS: Record<string, string> = {
  now: "M3 12h4l3-8 4 16 3-8h4",
  alerts: "M12 3l9.500 17h-19zM12 10v4.500M12 17.500v.1",
  receipts: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6",
  day: "M4 20V10M9.300 20V4M14.700 20v-7M20 20V8",
  clips: "M4 5h16v14H4zM10 9l5 3-5 3z",
  system: "M12 8.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM12 3v2.500M12 18.500V21M3 12h2.500M18.500 12H21M5.600 5.600l1.800 1.800M16.600 16.600l1.800 1.800M18.400 5.600l-1.800 1.800M7.400 16.600l-1.800 1.800",
  play: "M7 4.500v15l12-7.500z",
  pause: "M8 5v14M16 5v14",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  still: "M4 7h4l1.500-2h5L16 7h4v12H4zM12 10a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  save: "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14",
  moon: "M20 14a8 8 0 1 1-10-10 6.500 6.500 0 0 0 10 10z",
  close: "M6 6l12 12M18 6L6 18",
};

export function Icon({ of, size = 18 }: { of: string; size?: number }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true">
      <path d={ICONS[of] ?? ""} />
    </svg>
  );
}
