/** Which rows of a long list are worth being drawn. */

export interface Rows {
  first: number;
  /** Excluded. */
  end: number;
  /** Pixels above the first drawn row. */
  above: number;
  /** Of the whole list. */
  height: number;
}

/** Rows that are seen, and some beside them so that a quick turn of the wheel shows no hole. */
export function rowsSeen(total: number, row: number, top: number, seen: number, beside = 8): Rows {
  const first = Math.max(0, Math.min(total, Math.floor(top / row) - beside));
  const end = Math.min(total, Math.max(first, Math.ceil((top + seen) / row) + beside));
  return { first, end, above: first * row, height: total * row };
}

/** Where to scroll so that a row is seen; the place as it is when it is seen already. */
export function scrollTo(index: number, row: number, top: number, seen: number): number {
  if (index * row < top) return index * row;
  if ((index + 1) * row > top + seen) return (index + 1) * row - seen;
  return top;
}

/** By the time that is shown, the newest first; a list is read from the top. */
export function newestFirst<T extends { at: string }>(rows: readonly T[]): T[] {
  return [...rows].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}
