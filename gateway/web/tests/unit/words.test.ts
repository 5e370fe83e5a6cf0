import { describe, expect, it } from "vitest";
import { bytes, many, money, score } from "../../src/core/money";
import { kindWords, nth, partName, rightMissing, severityLevel } from "../../src/core/words";
import { address, parse } from "../../src/core/route";

describe("money", () => {
  it("is in the register's currency with its decimals", () => {
    expect(money(5.65, "EUR", 2)).toBe("€5.65");
    expect(money(-12, "GBP", 2)).toBe("−£12.00");
    expect(money(560, "JPY", 0)).toBe("¥560");
    expect(money(1.234, "KWD", 3)).toContain("1.234");
    expect(money(1234.5, "USD", 2)).toBe("$1,234.50");
  });

  it("is a bare number while the currency is not known, and nothing when there is none", () => {
    expect(money(5, "", 2)).toBe("5.00");
    expect(money(null, "EUR", 2)).toBe("");
    expect(money(undefined, "EUR", 2)).toBe("");
  });
});

describe("numbers", () => {
  it("have units", () => {
    expect([0, 999, 29_271, 2_352_500, 16_777_216, 5e9].map(bytes)).toEqual(["0 B", "999 B", "29 kB", "2.4 MB", "17 MB", "5.0 GB"]);
    expect(many(1, "alert")).toBe("1 alert");
    expect(many(10_000, "alert")).toBe("10,000 alerts");
    expect(score(0.4)).toBe("0.40");
    expect([1, 2, 3, 4, 11, 12, 21, 112].map(nth)).toEqual(["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th"]);
  });
});

describe("words", () => {
  it("are those of people, and unknown ones stay readable", () => {
    expect(kindWords("forced")).toBe("Drawer forced");
    expect(kindWords("some_new_kind")).toBe("Some new kind");
    expect(severityLevel("critical")).toBe(4);
    expect(severityLevel(null)).toBe(0);
  });

  it("call cameras by their names", () => {
    expect(partName("camera1", [{ camera: 1, name: "door" }]).name).toBe("Camera door");
    expect(partName("camera7").name).toBe("Camera 7");
    expect(partName("new_part").name).toBe("New part");
  });

  it("say why somebody may not", () => {
    expect(rightMissing("review", "technician")).toBe("Your role (technician) may not judge alerts.");
  });
});

describe("addresses", () => {
  it("lead to a place and back", () => {
    for (const [view, id, query] of [
      ["now", null, {}],
      ["alerts", "6f9c", { list: "all" }],
      ["receipts", null, { q: "whole milk & more" }],
      ["day", "2025-10-04", {}],
    ] as const) {
      const [path, search] = address(view, id, query).split("?");
      expect(parse(path ?? "", search ?? "")).toEqual({ view, id, query });
    }
  });

  it("that nobody knows are the first view", () => {
    expect(parse("/nonsense/7").view).toBe("now");
    expect(parse("/alerts/%E0%A4%A").id).toBe(null);
  });
});
