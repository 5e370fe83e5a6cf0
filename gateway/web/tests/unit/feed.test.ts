import { describe, expect, it } from "vitest";
import { SILENT_MS, begin, phaseWords, retryDelay, step, type Feed, type FeedAction, type FeedEvent } from "../../src/core/feed";
import { SseReader } from "../../src/core/sse";

function after(...events: FeedEvent[]): { feed: Feed; actions: FeedAction[] } {
  let feed = begin(0);
  let actions: FeedAction[] = [];
  for (const event of events) [feed, actions] = step(feed, event);
  return { feed, actions };
}

describe("the live feed", () => {
  it("goes on behind the last item that was seen", () => {
    const { feed } = after({ type: "opened", now: 1 }, { type: "item", seq: 7, now: 2 }, { type: "item", seq: 9, now: 3 }, { type: "item", seq: 8, now: 4 });
    expect(feed).toMatchObject({ phase: "live", after: 9 });
  });

  it("comes back by itself, later each time", () => {
    const { feed, actions } = after({ type: "opened", now: 1 }, { type: "ended", now: 1_000, reason: "gone" });
    expect(feed).toMatchObject({ phase: "waiting", retryAt: 1_500, reason: "gone" });
    expect(actions).toEqual([]);
    expect(step(feed, { type: "tick", now: 1_499 })[1]).toEqual([]);
    const [again, now] = step(feed, { type: "tick", now: 1_500 });
    expect(now).toEqual(["close", "connect"]);
    expect(step(again, { type: "ended", now: 2_000, reason: null })[0].retryAt).toBe(3_000);
    expect([1, 2, 3, 5, 50].map(retryDelay)).toEqual([500, 1_000, 2_000, 8_000, 10_000]);
  });

  it("waits as long as it is told", () => {
    const { feed } = after({ type: "ended", now: 0, reason: "busy", retryAfterMs: 5_000 });
    expect(feed.retryAt).toBe(5_000);
    expect(phaseWords(feed, 3_000)).toBe("not connected, again in 2 s");
  });

  it("counts failures from anew once it was connected", () => {
    const { feed } = after({ type: "ended", now: 0, reason: null }, { type: "ended", now: 0, reason: null }, { type: "opened", now: 1 });
    expect(feed.failed).toBe(0);
  });

  it("notices a connection that is dead without having ended", () => {
    const { feed } = after({ type: "opened", now: 0 });
    expect(step(feed, { type: "tick", now: SILENT_MS })[1]).toEqual([]);
    expect(step(feed, { type: "tick", now: SILENT_MS + 1 })[1]).toEqual(["close", "connect"]);
    const heard = step(feed, { type: "heard", now: 20_000 })[0];
    expect(step(heard, { type: "tick", now: SILENT_MS + 1 })[1]).toEqual([]);
  });

  it("connects anew after the device slept, and leaves a connection that works", () => {
    const { feed } = after({ type: "opened", now: 0 }, { type: "item", seq: 5, now: 0 });
    expect(step(feed, { type: "woke", now: 1_000 })[1]).toEqual([]);
    const [woken, actions] = step(feed, { type: "woke", now: 3_600_000 });
    expect(actions).toEqual(["close", "connect"]);
    expect(woken).toMatchObject({ phase: "connecting", after: 5 });
    expect(phaseWords(woken, 0)).toBe("catching up");
  });

  it("does not try without a network, and does as soon as there is one", () => {
    const { feed, actions } = after({ type: "opened", now: 0 }, { type: "network", up: false, now: 1 });
    expect([feed.phase, actions]).toEqual(["offline", ["close"]]);
    expect(step(feed, { type: "tick", now: 99_999 })[1]).toEqual([]);
    expect(step(feed, { type: "ended", now: 2, reason: "aborted" })[0].phase).toBe("offline");
    expect(step(feed, { type: "network", up: true, now: 100_000 })[1]).toEqual(["close", "connect"]);
  });

  it("begins anew with another log: positions of the old one mean nothing there", () => {
    const { feed } = after({ type: "log", id: "a", now: 0 }, { type: "opened", now: 0 }, { type: "item", seq: 900, now: 1 });
    expect(step(feed, { type: "log", id: "a", now: 2 })[1]).toEqual([]);
    const [fresh, actions] = step(feed, { type: "log", id: "b", now: 2 });
    expect(actions).toEqual(["close", "reload", "connect"]);
    expect(fresh).toMatchObject({ after: null, log: "b" });
  });
});

describe("server-sent events", () => {
  it("are read from any pieces", () => {
    const text = ': nothing new\n\nretry: 3000\nid: 7\nevent: kick\ndata: {"seq":7}\n\nevent: lagged\r\ndata: {"lost":\r\ndata: 2}\r\n\r\n';
    for (const size of [1, 2, 5, text.length]) {
      const reader = new SseReader();
      const events = [];
      for (let at = 0; at < text.length; at += size) events.push(...reader.take(text.slice(at, at + size)));
      expect(events, `in pieces of ${size}`).toEqual([
        { id: "7", event: "kick", data: '{"seq":7}' },
        { id: null, event: "lagged", data: '{"lost":\n2}' },
      ]);
    }
  });
});
