/** When the drawer was open, from what was seen of it. Pure. */

export interface Seen {
  at: number;
  open: boolean;
}

export interface Span {
  from: number;
  to: number;
  /** It is open still. */
  lasts: boolean;
}

/** Spans between `from` and `to`, from changes in any order. */
export function openSpans(changes: readonly Seen[], from: number, to: number): Span[] {
  const ordered = [...changes].sort((a, b) => a.at - b.at);
  const spans: Span[] = [];
  let since: number | null = null;
  for (const { at, open } of ordered) {
    if (open) since ??= at;
    else if (since !== null) {
      spans.push({ from: since, to: at, lasts: false });
      since = null;
    }
  }
  if (since !== null) spans.push({ from: since, to, lasts: true });
  return spans
    .filter((span) => span.to > from && span.from < to)
    .map((span) => ({ ...span, from: Math.max(from, span.from), to: Math.min(to, span.to) }));
}

/** Steps between two labels of a time axis, so that some five to nine fit. */
export function ticks(from: number, to: number, most = 8): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600].map((s) => s * 1000);
  const step = steps.find((ms) => (to - from) / ms <= most) ?? 21_600_000;
  const all: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) all.push(at);
  return all;
}
