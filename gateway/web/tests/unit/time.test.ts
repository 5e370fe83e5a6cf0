import { describe, expect, it } from "vitest";
import { addDays, ago, clock, day, dayName, isZone, moment, offset, span, tenths, utc, zoneName } from "../../src/core/time";

const at = Date.parse("2025-10-04T14:34:15.293Z");

describe("times of the store", () => {
  it("are shown in the store's zone, whatever the reader's is", () => {
    expect(clock(at, "UTC")).toBe("14:34:15");
    expect(clock(at, "Europe/Berlin")).toBe("16:34:15");
    expect(clock(at, "America/New_York")).toBe("10:34:15");
    expect(clock(Date.parse("2025-10-04T22:00:00Z"), "Europe/Berlin")).toBe("00:00:00");
  });

  it("fall back to UTC where the browser does not know the zone", () => {
    expect(isZone("Mars/Olympus")).toBe(false);
    expect(clock(at, "Mars/Olympus")).toBe("14:34:15");
    expect(clock(at, "")).toBe("14:34:15");
  });

  it("have a tenth for players and UTC with all digits for whoever wants it", () => {
    expect(tenths(at, "UTC")).toBe("14:34:15.2");
    expect(utc(at)).toBe("2025-10-04 14:34:15.293 UTC");
    expect(utc(Number.NaN)).toBe("");
  });

  it("know the store's day, also when summer time ends", () => {
    expect(day(Date.parse("2025-10-25T22:30:00Z"), "Europe/Berlin")).toBe("2025-10-26");
    expect(addDays("2025-10-26", -1)).toBe("2025-10-25");
    expect(addDays("2025-12-31", 1)).toBe("2026-01-01");
    expect(addDays("nonsense", 1)).toBe("nonsense");
    expect(dayName("2025-10-04")).toBe("Sat 4 Oct 2025");
  });

  it("name the day only when it is another one", () => {
    expect(moment(at, "UTC", at + 3_600_000)).toBe("14:34:15");
    expect(moment(at, "UTC", at + 86_400_000)).toBe("4 Oct 14:34:15");
  });

  it("name the zone as it is at that time", () => {
    expect(zoneName(at, "UTC")).toBe("UTC");
    expect(zoneName(at, "Europe/London")).toBe("BST");
    expect(zoneName(Date.parse("2025-12-04T00:00:00Z"), "Europe/London")).toBe("GMT");
  });
});

describe("how long", () => {
  it("is told in two units", () => {
    expect([0, 8_000, 60_000, 185_000, 7_440_000, 442_800_000].map(span)).toEqual(["0 s", "8 s", "1 min", "3 min 5 s", "2 h 4 min", "5 d 3 h"]);
    expect(span(-5)).toBe("0 s");
  });

  it("ago is told in one unit", () => {
    const of = (ms: number): string => ago(at - ms, at);
    expect([0, 12_000, 300_000, 7_200_000, 200_000_000].map(of)).toEqual(["just now", "12 s ago", "5 min ago", "2 h ago", "2 d ago"]);
    expect(ago(at + 900, at)).toBe("just now");
  });

  it("from the cause has a sign that is no hyphen", () => {
    expect([2_420, -500, 0, -40].map(offset)).toEqual(["+2.4 s", "−0.5 s", "0.0 s", "0.0 s"]);
  });
});
