/** What the page knows of the register, for all views. */

import { computed, signal } from "@preact/signals";
import { ask, get, words } from "./api";
import type { Alert, Camera, Item, Status } from "./types";

/** Items that are kept for the views; older ones are asked for. */
const KEPT = 1_000;

export const status = signal<Status | null>(null);
export const statusProblem = signal<string | null>(null);
export const cameras = signal<Camera[]>([]);
/** Newest first. */
export const items = signal<Item[]>([]);
export const queue = signal<Alert[] | null>(null);
export const queueLeftOut = signal(0);
export const newest = signal<Alert[] | null>(null);
export const listProblem = signal<string | null>(null);
/** Changes whenever an alert or verdict does. */
export const alertsChanged = signal(0);

export const zone = computed(() => status.value?.timezone || "UTC");
export const demo = computed(() => status.value?.demo === true);
export const currency = computed(() => ({
  code: status.value?.currency ?? "",
  digits: status.value?.currency_digits ?? 2,
}));

/** How far the register's clock is ahead of this device's, in ms: ages are counted by the register's. */
const ahead = signal(0);
/** The register's time. */
export function registerNow(): number {
  return Date.now() + ahead.value;
}

/** The register's time, once a second. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = registerNow();
}, 1_000);

export async function loadStatus(): Promise<void> {
  try {
    const before = Date.now();
    const fresh = await get<Status>("/api/status");
    const middle = (before + Date.now()) / 2;
    ahead.value = Date.parse(fresh.at) - middle;
    status.value = fresh;
    statusProblem.value = null;
    now.value = registerNow();
  } catch (why) {
    statusProblem.value = words(why);
  }
}

export async function loadCameras(): Promise<void> {
  try {
    cameras.value = await get<Camera[]>("/api/cameras");
  } catch {
    // The status says what is wrong.
  }
}

export async function loadRecent(): Promise<void> {
  try {
    const fresh = await get<Item[]>("/api/events/recent?limit=400");
    // What came over the live feed meanwhile stays.
    const known = new Set(fresh.map((item) => item.seq));
    const rest = items.value.filter((item) => !known.has(item.seq));
    items.value = [...fresh, ...rest].sort((a, b) => b.seq - a.seq).slice(0, KEPT);
    listProblem.value = null;
  } catch (why) {
    listProblem.value = words(why);
  }
}

/** Takes what the live feed tells; several at once when it catches up. */
export function take(fresh: Item[]): void {
  if (fresh.length === 0) return;
  const last = items.value[0]?.seq ?? 0;
  const behind = fresh.some((item) => item.seq <= last);
  let all = [...fresh.reverse(), ...items.value];
  if (behind) {
    const bySeq = new Map(all.map((item) => [item.seq, item]));
    all = [...bySeq.values()].sort((a, b) => b.seq - a.seq);
  }
  items.value = all.slice(0, KEPT);
}

export function forget(): void {
  items.value = [];
  queue.value = null;
  newest.value = null;
}

export async function loadQueue(): Promise<void> {
  try {
    const response = await ask("/api/alerts/pending");
    queueLeftOut.value = Number(response.headers.get("tillwatch-left-out") ?? 0) || 0;
    queue.value = (await response.json()) as Alert[];
    listProblem.value = null;
  } catch (why) {
    listProblem.value = words(why);
  }
}

export async function loadNewest(): Promise<void> {
  try {
    newest.value = await get<Alert[]>("/api/alerts?limit=30");
  } catch (why) {
    listProblem.value = words(why);
  }
}

let due: ReturnType<typeof setTimeout> | null = null;

/** Asks for the lists of alerts again; once for several changes. */
export function alertsStale(): void {
  due ??= setTimeout(() => {
    due = null;
    void Promise.all([loadQueue(), loadNewest()]).then(() => {
      alertsChanged.value += 1;
    });
  }, 150);
}
