/** Receipt, events and clip on one time. Pure; all times are ms since the clip's beginning. */

export interface Moment {
  key: string;
  ms: number;
}

/** An event is lit for this long at most, unless another one comes before. */
export const LIT_MS = 2_500;
/** Pictures come a little after what they show. */
const EARLY_MS = 60;

/** When each line was printed: printers work line by line, so the time is shared evenly. */
export function lineTimes(lines: number, began: number, ended: number): number[] {
  const each = lines > 0 ? Math.max(0, ended - began) / lines : 0;
  return Array.from({ length: lines }, (_, n) => began + n * each);
}

/** Faster than this no line has a time of its own. */
const AT_ONCE_MS = 150;

/** The line that is being printed at a place, or all of them; null when nothing is. */
export function lineAt(lines: number, began: number, ended: number, at: number): number | "all" | null {
  if (lines === 0 || at < began - EARLY_MS || at > ended + LIT_MS) return null;
  if (ended - began < AT_ONCE_MS) return "all";
  // A line's own time is never the end of the one before, however it is rounded.
  const n = Math.floor(((at - began) / (ended - began)) * lines + 1e-6);
  return Math.min(lines - 1, Math.max(0, n));
}

/** What is lit at a place: the newest moment by then, and those of the same instant. */
export function litAt(moments: readonly Moment[], at: number): Set<string> {
  let newest = Number.NEGATIVE_INFINITY;
  for (const { ms } of moments) if (ms <= at + EARLY_MS && ms > newest) newest = ms;
  const lit = new Set<string>();
  if (at - newest > LIT_MS) return lit;
  for (const { key, ms } of moments) if (ms <= at + EARLY_MS && newest - ms < 150) lit.add(key);
  return lit;
}

/** Where to begin to watch: a moment before the cause. */
export function beginAt(cause: number, duration: number, firstPictures: readonly number[] = []): number {
  const before = Math.max(0, cause - 2_000);
  // Not where nothing is to be seen yet, if that is ahead of the cause.
  const seen = Math.max(0, ...firstPictures);
  return Math.min(Math.max(before, Math.min(seen, cause)), Math.max(0, duration));
}
