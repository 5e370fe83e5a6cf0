import { describe, expect, it } from "vitest";
import { ended, hold, nextSpeed, pause, place, play, seek, stopped, withSpeed } from "../../src/player/clock";
import { frameAt, frameShown, gapAt, gaps, newestHere, stepTo, wanted } from "../../src/player/frames";
import { beginAt, lineAt, lineTimes, litAt } from "../../src/core/paper";

describe("the player's clock", () => {
  it("keeps true time at any speed", () => {
    let clock = play(stopped(10_000), 500);
    expect(place(clock, 1_500)).toBe(1_000);
    clock = withSpeed(clock, 4, 1_500);
    expect(place(clock, 2_000)).toBe(3_000);
    clock = withSpeed(clock, 0.25, 2_000);
    expect(place(clock, 4_000)).toBe(3_500);
  });

  it("stands still when it is paused, and goes on from there", () => {
    const paused = pause(play(stopped(10_000), 0), 700);
    expect(place(paused, 90_000)).toBe(700);
    expect(place(play(paused, 90_000), 90_100)).toBe(800);
  });

  it("stands still while pictures are missing, without jumping afterwards", () => {
    let clock = play(stopped(10_000), 0);
    clock = hold(clock, true, 1_000);
    expect([clock.playing, place(clock, 9_000)]).toEqual([true, 1_000]);
    clock = hold(clock, false, 9_000);
    expect(place(clock, 9_500)).toBe(1_500);
    expect(hold(clock, false, 9_600)).toBe(clock);
  });

  it("ends at the end, and begins anew from there", () => {
    const clock = play(stopped(1_000), 0);
    expect([ended(clock, 999), ended(clock, 1_000), place(clock, 5_000)]).toEqual([false, true, 1_000]);
    expect(place(play(pause(clock, 5_000), 6_000), 6_010)).toBe(10);
  });

  it("stays inside the clip wherever somebody drags it", () => {
    expect(seek(stopped(1_000), -5, 0).base).toBe(0);
    expect(seek(stopped(1_000), 5_000, 0).base).toBe(1_000);
    expect(stopped(0, 7).base).toBe(0);
  });

  it("has speeds with two ends", () => {
    expect([nextSpeed(1, 1), nextSpeed(1, -1), nextSpeed(8, 1), nextSpeed(0.25, -1), nextSpeed(3, 1)]).toEqual([2, 0.5, 8, 0.25, 2]);
  });
});

describe("pictures", () => {
  const tenth = (n: number): number[] => Array.from({ length: n }, (_, i) => 50 + i * 100);

  it("are shown from their time on until the next one", () => {
    const ms = [50, 150, 400];
    expect([0, 50, 149, 150, 399, 400, 9_999].map((at) => frameAt(ms, at))).toEqual([-1, 0, 0, 1, 1, 2, 2]);
    expect(frameAt([], 5)).toBe(-1);
    expect([-1, -400, -401, 60].map((at) => frameShown(ms.map((of) => of - 50), at)), "the first a little earlier").toEqual([0, 0, -1, 0]);
    expect(frameShown([], 0)).toBe(-1);
  });

  it("have gaps where the camera was silent, at both ends too", () => {
    const ms = [...tenth(10), ...tenth(10).map((at) => at + 3_000)];
    expect(gaps(ms, 8_000)).toEqual([
      { from: 950, to: 3_050 },
      { from: 3_950, to: 8_000 },
    ]);
    expect(gaps(tenth(10), 1_000), "a usual pause is none").toEqual([]);
    expect(gaps([], 5_000)).toEqual([{ from: 0, to: 5_000 }]);
    expect(gaps([2_000, 2_100, 2_200], 2_300)[0]).toEqual({ from: 0, to: 2_000 });
    const [gap] = gaps(ms, 4_000);
    expect(gapAt([gap!], 1_000), "the last picture is still true").toBe(null);
    expect(gapAt([gap!], 1_500)).toEqual(gap);
    expect(gapAt([gap!], 3_050)).toBe(null);
  });

  it("are stepped through one by one, over all cameras", () => {
    const one = [0, 100, 200];
    const other = [50, 150];
    const walk = [0];
    for (let n = 0; n < 6; n++) walk.push(stepTo([one, other], walk[n]!, 1, 250));
    expect(walk).toEqual([0, 50, 100, 150, 200, 200, 200]);
    const back = [250];
    for (let n = 0; n < 5; n++) back.push(stepTo([one, other], back[n]!, -1, 250));
    expect(back, "the same places as forwards").toEqual([250, 150, 100, 50, 0, 0]);
    expect(stepTo([one], 170, -1, 250)).toBe(0);
    expect(stepTo([one], 200, -1, 250)).toBe(100);
    expect(stepTo([one], 0, -1, 250)).toBe(0);
  });

  it("are fetched ahead, bounded, and only those that can be seen", () => {
    const ms = tenth(1_000);
    expect(wanted(ms, 1_000, 1, true).slice(0, 3)).toEqual([9, 10, 11]);
    expect(wanted(ms, 1_000, 1, true).length).toBeLessThanOrEqual(62);
    const fast = wanted(ms, 1_000, 8, true);
    expect(fast.slice(0, 3)).toEqual([9, 12, 15]);
    expect(fast.length).toBeLessThanOrEqual(90);
    expect(wanted(ms, 1_000, 1, false).slice(0, 9)).toEqual([9, 10, 8, 11, 7, 12, 6, 13, 14]);
    expect(wanted(ms, 1_000, 1, false).length).toBe(15);
    expect(wanted(ms, 0, 1, false)[0]).toBe(0);
    expect(wanted([], 0, 1, true)).toEqual([]);
  });

  it("that are late are stood in for by the newest one that is here", () => {
    const here = new Set([3, 5]);
    expect(newestHere((n) => here.has(n), 7)).toBe(5);
    expect(newestHere((n) => here.has(n), 2)).toBe(-1);
    expect(newestHere((n) => here.has(n), 7, 1)).toBe(-1);
  });
});

describe("receipt and clip", () => {
  it("share the time of printing among the lines", () => {
    expect(lineTimes(4, 1_000, 2_000)).toEqual([1_000, 1_250, 1_500, 1_750]);
    expect(lineTimes(0, 0, 9)).toEqual([]);
  });

  it("light the line that is being printed, and every line leads to where it is lit", () => {
    for (const [n, at] of lineTimes(13, 4_000, 5_300).entries()) expect(lineAt(13, 4_000, 5_300, at + 1)).toBe(n);
    for (const [n, at] of lineTimes(12, 5_133, 5_910).entries()) expect(lineAt(12, 5_133, 5_910, at)).toBe(n);
    expect(lineAt(4, 1_000, 2_000, 900)).toBe(null);
    expect(lineAt(4, 1_000, 2_000, 2_100), "the last one for a moment").toBe(3);
    expect(lineAt(4, 1_000, 2_000, 60_000)).toBe(null);
    expect(lineAt(4, 1_000, 1_000, 1_000), "printed at once").toBe("all");
  });

  it("light what happened last, and everything of that instant", () => {
    const moments = [
      { key: "kick", ms: 1_000 },
      { key: "open", ms: 1_080 },
      { key: "closed", ms: 5_000 },
    ];
    expect([...litAt(moments, 1_020)]).toEqual(["kick", "open"]);
    expect([...litAt(moments, 1_500)]).toEqual(["kick", "open"]);
    expect([...litAt(moments, 4_000)], "it is over").toEqual([]);
    expect([...litAt(moments, 5_000)]).toEqual(["closed"]);
    expect([...litAt([], 5_000)]).toEqual([]);
  });

  it("begin a moment before the cause", () => {
    expect([beginAt(5_000, 10_000), beginAt(500, 10_000), beginAt(5_000, 1_000)]).toEqual([3_000, 0, 1_000]);
    expect([beginAt(5_000, 10_000, [4_000, 3_500]), beginAt(5_000, 10_000, [6_000])], "where something is to be seen, at the latest at the cause").toEqual([4_000, 5_000]);
  });
});
