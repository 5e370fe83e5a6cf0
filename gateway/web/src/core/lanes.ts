/** A day as marks on lanes, and which part of it is looked at. Pure. */

export interface Part {
  from: number;
  to: number;
}

export interface Mark {
  lane: string;
  from: number;
  /** The same for a moment. */
  to: number;
  words: string;
  strong: boolean;
  /** Where it leads. */
  link: string | null;
}

/** Shortest part that is looked at. */
export const SHORTEST_MS = 30_000;

/** The part of the day in which something happened, with some room; the whole day without. */
export function busyPart(marks: readonly Mark[], whole: Part): Part {
  if (marks.length === 0) return whole;
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const mark of marks) {
    from = Math.min(from, mark.from);
    to = Math.max(to, mark.to);
  }
  const room = Math.max(120_000, (to - from) * 0.04);
  return within({ from: from - room, to: to + room }, whole);
}

/** Kept inside the day, and not too short. */
export function within(part: Part, whole: Part): Part {
  const length = Math.min(whole.to - whole.from, Math.max(SHORTEST_MS, part.to - part.from));
  const from = Math.min(Math.max(whole.from, part.from), whole.to - length);
  return { from, to: from + length };
}

/** Closer (below 1) or farther, around a place that stays where it is. */
export function zoom(part: Part, by: number, around: number, whole: Part): Part {
  const share = (around - part.from) / (part.to - part.from);
  const length = Math.max(SHORTEST_MS, (part.to - part.from) * by);
  const from = around - share * length;
  return within({ from, to: from + length }, whole);
}

export function shift(part: Part, share: number, whole: Part): Part {
  const by = (part.to - part.from) * share;
  return within({ from: part.from + by, to: part.to + by }, whole);
}

/** The mark nearest to a place on a lane, not farther than so many ms. */
export function nearest(marks: readonly Mark[], lane: string, at: number, reach: number): Mark | null {
  let best: Mark | null = null;
  let least = reach;
  for (const mark of marks) {
    if (mark.lane !== lane) continue;
    const away = at < mark.from ? mark.from - at : at > mark.to ? at - mark.to : 0;
    if (away < least || (away === least && mark.strong)) {
      least = away;
      best = mark;
    }
  }
  return best;
}
