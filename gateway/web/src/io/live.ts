/** Drives the live feed: `core/feed` says what to do, this does it. */

import { signal } from "@preact/signals";
import { begin, step, type Feed, type FeedAction, type FeedEvent } from "../core/feed";
import { SseReader } from "../core/sse";
import { Failure, ask, failure } from "./api";
import { alertsStale, forget, loadCameras, loadQueue, loadNewest, loadRecent, loadStatus, status, take } from "./store";
import type { Item } from "./types";

export const feed = signal<Feed>(begin(Date.now()));
/** What the log does not have any more, or could not be read, in words. */
export const hole = signal<string | null>(null);
/** New alerts since the page was opened: for the announcement to screen readers. */
export const arrived = signal<Item[]>([]);

let connection: AbortController | null = null;

function tell(event: FeedEvent): void {
  const [next, actions] = step(feed.value, event);
  feed.value = next;
  for (const action of actions) act(action);
}

function act(action: FeedAction): void {
  if (action === "close") {
    connection?.abort();
    connection = null;
  } else if (action === "connect") {
    void connect();
  } else {
    forget();
    void loadEverything();
  }
}

async function loadEverything(): Promise<void> {
  await loadStatus();
  await Promise.all([loadRecent(), loadQueue(), loadNewest(), loadCameras()]);
}

async function connect(): Promise<void> {
  const mine = new AbortController();
  connection = mine;
  const { after } = feed.value;
  try {
    const path = after === null ? "/api/live" : `/api/live?after=${after}`;
    const response = await open(path, mine.signal);
    tell({ type: "opened", now: Date.now() });
    // What happened between the lists and the feed, and what a restart changed.
    void loadStatus();
    if (after === null) void loadRecent();
    await read(response, mine.signal);
    if (connection === mine) tell({ type: "ended", now: Date.now(), reason: null });
  } catch (why) {
    if (connection !== mine) return;
    const reason = why instanceof Error ? why.message : String(why);
    const retry = why instanceof Failure && why.retryAfter ? { retryAfterMs: why.retryAfter * 1000 } : {};
    tell({ type: "ended", now: Date.now(), reason, ...retry });
  }
}

/** Without the usual limit of time: the answer has no end. */
async function open(path: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(path, { signal, headers: { accept: "text/event-stream" } }).catch((why: unknown) => {
    if (signal.aborted) throw why;
    throw new Failure(0, "network", "The register's box does not answer.");
  });
  if (response.ok) return response;
  if (response.status === 401) {
    // Asks for the login, and waits for it.
    await ask("/api/status");
    return open(path, signal);
  }
  throw await failure(response);
}

async function read(response: Response, signal: AbortSignal): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  const events = new SseReader();
  while (!signal.aborted) {
    const { done, value } = await reader.read();
    if (done) return;
    tell({ type: "heard", now: Date.now() });
    const fresh: Item[] = [];
    for (const event of events.take(decoder.decode(value, { stream: true }))) {
      if (event.event === "lagged") continue;
      if (event.event === "gap") {
        hole.value = "A part of what happened cannot be read from the log any more.";
        continue;
      }
      const item = JSON.parse(event.data) as Item;
      fresh.push(item);
      tell({ type: "item", seq: item.seq, now: Date.now() });
    }
    consider(fresh);
  }
}

function consider(fresh: Item[]): void {
  take(fresh);
  if (fresh.some((item) => item.kind === "alert" || item.kind === "review")) alertsStale();
  if (fresh.some((item) => ["witness", "notice", "started"].includes(item.kind))) {
    void loadStatus();
    void loadCameras();
  }
  const alerts = fresh.filter((item) => item.kind === "alert" && item.alert?.revision === 1);
  if (alerts.length > 0) arrived.value = alerts;
}

const STATUS_MS = 5_000;

/** Begins; the page stays connected until it is closed. */
export function start(): void {
  void loadEverything();
  void connect();
  setInterval(() => tell({ type: "tick", now: Date.now() }), 1_000);
  setInterval(() => {
    if (!document.hidden) void loadStatus();
  }, STATUS_MS);
  status.subscribe((now) => {
    if (now) tell({ type: "log", id: now.log.id, now: Date.now() });
  });
  const woke = (): void => {
    if (document.hidden) return;
    tell({ type: "woke", now: Date.now() });
    void loadStatus();
  };
  document.addEventListener("visibilitychange", woke);
  window.addEventListener("pageshow", woke);
  window.addEventListener("online", () => tell({ type: "network", up: true, now: Date.now() }));
  window.addEventListener("offline", () => tell({ type: "network", up: false, now: Date.now() }));
}
