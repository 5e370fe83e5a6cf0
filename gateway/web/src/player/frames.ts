/** Which picture is shown when, and which ones are worth fetching. Pure. */

/** A time without a picture. */
export interface Gap {
  from: number;
  to: number;
}

/** A picture hangs for longer than this many frame periods: a gap. */
const PERIODS = 3;
/** … and never shorter than this: a slow camera is no hole. */
const SHORTEST_GAP_MS = 400;

/** The picture at a place: the newest that was captured by then; -1 before the first. */
export function frameAt(ms: readonly number[], at: number): number {
  let low = 0;
  let high = ms.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ms[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The picture that is shown at a place: the first one a little before its time too, or a clip that is
 * opened at its beginning would show nothing.
 */
export function frameShown(ms: readonly number[], at: number): number {
  const n = frameAt(ms, at);
  const first = ms[0];
  return n < 0 && first !== undefined && first - at <= SHORTEST_GAP_MS ? 0 : n;
}

/** The usual time between two pictures: the median, so that gaps do not count. */
export function period(ms: readonly number[]): number {
  const steps: number[] = [];
  for (let n = 1; n < ms.length && steps.length < 500; n++) steps.push((ms[n] ?? 0) - (ms[n - 1] ?? 0));
  steps.sort((a, b) => a - b);
  return steps[steps.length >> 1] ?? 100;
}

/** Where nothing was captured; the ends of the clip too. */
export function gaps(ms: readonly number[], duration: number): Gap[] {
  if (ms.length === 0) return duration > 0 ? [{ from: 0, to: duration }] : [];
  const limit = Math.max(SHORTEST_GAP_MS, PERIODS * period(ms));
  const found: Gap[] = [];
  const first = ms[0] ?? 0;
  const last = ms[ms.length - 1] ?? 0;
  if (first > limit) found.push({ from: 0, to: first });
  for (let n = 1; n < ms.length; n++) {
    const from = ms[n - 1] ?? 0;
    const to = ms[n] ?? 0;
    if (to - from > limit) found.push({ from, to });
  }
  if (duration - last > limit) found.push({ from: last, to: duration });
  return found;
}

/** The gap that a place lies in, if the picture there is older than usual. */
export function gapAt(found: readonly Gap[], at: number): Gap | null {
  return found.find((gap) => at >= gap.from && at < gap.to && !(gap.from > 0 && at - gap.from < SHORTEST_GAP_MS)) ?? null;
}

/** The next place, over all cameras, at which a picture changes; the place itself at the ends. */
export function stepTo(tracks: readonly (readonly number[])[], at: number, by: 1 | -1, duration: number): number {
  const shown = tracks.map((ms) => frameAt(ms, at));
  const moments = (n: number, of: readonly number[]): number[] => (of[n] === undefined ? [] : [of[n]]);
  if (by > 0) {
    const next = tracks.flatMap((ms, of) => moments((shown[of] ?? -1) + 1, ms));
    return next.length === 0 ? at : Math.min(duration, ...next);
  }
  // Where what is shown began; the place that was shown before is the last one ahead of that.
  const began = Math.max(...tracks.flatMap((ms, of) => moments(shown[of] ?? -1, ms)), Number.NEGATIVE_INFINITY);
  const before = tracks.flatMap((ms, of) => {
    const n = shown[of] ?? -1;
    return moments(ms[n] === began ? n - 1 : n, ms);
  });
  return before.length === 0 ? at : Math.max(0, ...before);
}

/** Most pictures that a display shows in a second. */
const SHOWN_PER_S = 30;

/** Which pictures to fetch, the most urgent first: those ahead, then a few behind for steps back. */
export function wanted(
  ms: readonly number[],
  at: number,
  speed: number,
  playing: boolean,
  limits = { aheadMs: 6_000, most: 90 },
): number[] {
  if (ms.length === 0) return [];
  const now = Math.max(0, frameAt(ms, at));
  if (!playing) {
    // Those beside it for steps, and a few more so that playing begins at once.
    const beside = [now, now + 1, now - 1, now + 2, now - 2, now + 3, now - 3];
    for (let n = now + 4; n < now + 12; n++) beside.push(n);
    return beside.filter((n) => n >= 0 && n < ms.length);
  }
  // At eight times the speed not every picture can be seen: only those are fetched that are.
  const shortest = (1000 / SHOWN_PER_S) * speed;
  const list = [now];
  let shown = ms[now] ?? 0;
  for (let n = now + 1; n < ms.length && list.length < limits.most; n++) {
    const then = ms[n] ?? 0;
    if (then - at > limits.aheadMs * Math.max(1, speed)) break;
    if (then - shown + 1 >= shortest) {
      list.push(n);
      shown = then;
    }
  }
  return list;
}

/** The newest picture that is here and not newer than the one wanted; -1 when there is none. */
export function newestHere(have: (n: number) => boolean, n: number, most = 64): number {
  for (let at = n; at >= 0 && at > n - most; at--) if (have(at)) return at;
  return -1;
}
