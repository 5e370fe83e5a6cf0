import { describe, expect, it } from "vitest";
import { busyPart, nearest, shift, within, zoom, type Mark } from "../../src/core/lanes";
import { newestFirst, rowsSeen, scrollTo } from "../../src/core/rows";
import { openSpans, ticks } from "../../src/core/strip";

describe("a long list", () => {
  it("draws what is seen and a little more, however long it is", () => {
    const rows = rowsSeen(10_000, 62, 310_000, 800);
    expect(rows.end - rows.first).toBeLessThan(32);
    expect(rows).toMatchObject({ first: 4_992, above: 4_992 * 62, height: 620_000 });
    expect(rowsSeen(3, 62, 0, 800)).toMatchObject({ first: 0, end: 3 });
    expect(rowsSeen(0, 62, 500, 800)).toMatchObject({ first: 0, end: 0 });
    expect(rowsSeen(5, 62, 90_000, 800).first, "it became shorter").toBe(5);
  });

  it("is sorted by the times that it shows, whatever came last", () => {
    const told = ["2026-03-01T10:00:05Z", "2026-03-01T10:00:17.5Z", "2026-03-01T10:00:12Z"].map((at) => ({ at }));
    expect(newestFirst(told).map((of) => of.at.slice(17))).toEqual(["17.5Z", "12Z", "05Z"]);
    expect(told[0]?.at, "what was given stays as it is").toBe("2026-03-01T10:00:05Z");
  });

  it("scrolls only as far as it must", () => {
    expect(scrollTo(3, 62, 0, 800)).toBe(0);
    expect(scrollTo(20, 62, 0, 800)).toBe(21 * 62 - 800);
    expect(scrollTo(1, 62, 500, 800)).toBe(62);
  });
});

describe("the drawer's line", () => {
  it("is open between opening and closing, in whatever order they come", () => {
    const changes = [
      { at: 50, open: false },
      { at: 10, open: true },
      { at: 80, open: true },
      { at: 90, open: true },
    ];
    expect(openSpans(changes, 20, 100)).toEqual([
      { from: 20, to: 50, lasts: false },
      { from: 80, to: 100, lasts: true },
    ]);
    expect(openSpans([{ at: 5, open: false }], 0, 10)).toEqual([]);
  });

  it("has a few round times below it", () => {
    expect(ticks(0, 600_000).map((at) => at / 60_000)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks(0, 86_400_000).length).toBeLessThanOrEqual(9);
  });
});

describe("a day", () => {
  const whole = { from: 0, to: 86_400_000 };
  const mark = (lane: string, from: number, to = from, strong = false): Mark => ({ lane, from, to, words: "", strong, link: null });

  it("shows the part in which something happened", () => {
    expect(busyPart([], whole)).toEqual(whole);
    const part = busyPart([mark("till", 36_000_000), mark("till", 37_000_000)], whole);
    expect(part).toEqual({ from: 35_880_000, to: 37_120_000 });
    expect(busyPart([mark("till", 0)], whole).from).toBe(0);
  });

  it("is looked at closer around a place that stays", () => {
    const part = zoom(whole, 0.5, 21_600_000, whole);
    expect(part).toEqual({ from: 10_800_000, to: 54_000_000 });
    expect(zoom(whole, 0.000_001, 0, whole)).toEqual({ from: 0, to: 30_000 });
    expect(zoom(whole, 4, 5, whole)).toEqual(whole);
    expect(shift(part, 9, whole)).toEqual({ from: 43_200_000, to: 86_400_000 });
    expect(within({ from: -50, to: -40 }, whole)).toEqual({ from: 0, to: 30_000 });
  });

  it("finds what a pointer is near to, on its lane", () => {
    const marks = [mark("till", 100), mark("drawer", 90, 300), mark("till", 130)];
    expect(nearest(marks, "till", 112, 50)).toBe(marks[0]);
    expect(nearest(marks, "drawer", 200, 5)).toBe(marks[1]);
    expect(nearest(marks, "till", 900, 50)).toBe(null);
  });
});
