/**
 * How the live feed is kept: a state machine without timers or network. Whoever drives it tells
 * what happened and when, and does what it asks for.
 *
 * The position of the last item is remembered, so that a connection that comes back goes on where
 * the old one ended. A log that was replaced begins anew.
 */

export type Phase = "connecting" | "live" | "waiting" | "offline";

export interface Feed {
  phase: Phase;
  /** Position of the last item; null before the first one. */
  after: number | null;
  /** The log that the positions are of. */
  log: string | null;
  /** When to try again, while waiting. */
  retryAt: number;
  /** Attempts that failed in a row. */
  failed: number;
  /** When something was last heard, a keep-alive included. */
  heardAt: number;
  /** Why there is no connection, in words. */
  reason: string | null;
}

export type FeedEvent =
  | { type: "opened"; now: number }
  | { type: "heard"; now: number }
  | { type: "item"; seq: number; now: number }
  | { type: "ended"; now: number; reason: string | null; retryAfterMs?: number }
  | { type: "log"; id: string; now: number }
  | { type: "woke"; now: number }
  | { type: "network"; up: boolean; now: number }
  | { type: "tick"; now: number };

export type FeedAction = "connect" | "close" | "reload";

/** A keep-alive comes every 15 s; a connection that is silent for longer is dead. */
export const SILENT_MS = 35_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

export function begin(now: number): Feed {
  return { phase: "connecting", after: null, log: null, retryAt: 0, failed: 0, heardAt: now, reason: null };
}

/** How long to wait after so many failures: doubling, up to ten seconds. */
export function retryDelay(failed: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, failed - 1));
}

/** The next state, and what to do now. */
export function step(feed: Feed, event: FeedEvent): [Feed, FeedAction[]] {
  switch (event.type) {
    case "opened":
      return [{ ...feed, phase: "live", failed: 0, reason: null, heardAt: event.now }, []];
    case "heard":
      return [{ ...feed, heardAt: event.now }, []];
    case "item": {
      // Shown already: a reader that comes back may be told the last one again.
      const after = feed.after === null ? event.seq : Math.max(feed.after, event.seq);
      return [{ ...feed, after, heardAt: event.now }, []];
    }
    case "ended": {
      if (feed.phase === "offline") return [feed, []];
      const failed = feed.failed + 1;
      const retryAt = event.now + (event.retryAfterMs ?? retryDelay(failed));
      return [{ ...feed, phase: "waiting", failed, retryAt, reason: event.reason }, []];
    }
    case "log": {
      if (feed.log === null) return [{ ...feed, log: event.id }, []];
      if (feed.log === event.id) return [feed, []];
      const fresh: Feed = { ...begin(event.now), log: event.id };
      return [fresh, ["close", "reload", "connect"]];
    }
    case "woke": {
      const stale = event.now - feed.heardAt > SILENT_MS;
      if (feed.phase === "offline" || (feed.phase === "live" && !stale)) return [feed, []];
      return reconnect(feed, event.now);
    }
    case "network":
      if (!event.up) return [{ ...feed, phase: "offline", reason: "this device has no network" }, ["close"]];
      return feed.phase === "live" ? [feed, []] : reconnect(feed, event.now);
    case "tick":
      if (feed.phase === "waiting" && event.now >= feed.retryAt) return reconnect(feed, event.now);
      if (feed.phase !== "waiting" && feed.phase !== "offline" && event.now - feed.heardAt > SILENT_MS) {
        return reconnect(feed, event.now);
      }
      return [feed, []];
  }
}

function reconnect(feed: Feed, now: number): [Feed, FeedAction[]] {
  return [{ ...feed, phase: "connecting", heardAt: now }, ["close", "connect"]];
}

/** The state in a few words. */
export function phaseWords(feed: Feed, now: number): string {
  switch (feed.phase) {
    case "live":
      return "live";
    case "connecting":
      return feed.after === null ? "connecting" : "catching up";
    case "waiting": {
      const s = Math.max(1, Math.ceil((feed.retryAt - now) / 1000));
      return `not connected, again in ${s} s`;
    }
    case "offline":
      return "no network";
  }
}
