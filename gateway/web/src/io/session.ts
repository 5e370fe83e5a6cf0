/** Who is here and what they may. */

import { computed, signal } from "@preact/signals";
import type { Right } from "../core/words";
import { rightMissing } from "../core/words";
import { Failure, get, change, whenLoginIsNeeded } from "./api";
import type { Session } from "./types";

const EVERYTHING: Right[] = ["look", "review", "footage", "system", "logins"];

export const session = signal<Session | null>(null);
/** The session ended while somebody worked: the form is shown above what they did. */
export const expired = signal(false);
/** Why the session is not known. */
export const sessionProblem = signal<string | null>(null);
/** "Not now" was said to the first set-up, for as long as this page is open. */
export const setupPutOff = signal(false);

export const loginNeeded = computed(() => session.value?.login === "needed" && !expired.value);

let waiting: ((in_: boolean) => void)[] = [];

export async function loadSession(): Promise<void> {
  try {
    session.value = await get<Session>("/api/session", { bare: true });
    sessionProblem.value = null;
  } catch (why) {
    if (why instanceof Failure && why.status === 404) {
      // A program without logins: whoever reaches it may everything.
      session.value = { demo: false, login: "none", user: null, rights: EVERYTHING, expires: null, code_needed: false };
    } else {
      sessionProblem.value = why instanceof Error ? why.message : String(why);
    }
  }
}

whenLoginIsNeeded(async () => {
  if (session.value?.login !== "needed") expired.value = true;
  return new Promise<boolean>((resolve) => waiting.push(resolve));
});

export async function login(name: string, password: string): Promise<void> {
  const now = await change<Session>("POST", "/api/session", { name, password }, { bare: true });
  arrived(now);
}

export async function setUp(name: string, password: string, code: string | null): Promise<void> {
  const body = code ? { name, password, code } : { name, password };
  await change<unknown>("POST", "/api/setup", body, { bare: true });
  await loadSession();
  if (session.value) arrived(session.value);
}

function arrived(now: Session): void {
  session.value = now;
  expired.value = false;
  const resolve = waiting;
  waiting = [];
  for (const one of resolve) one(true);
}

const LOOK_EVERY_MS = 10_000;

/**
 * Ends the session when nobody has been at the page for as long as the box allows: what the page
 * asks by itself would keep it alive, and footage on an empty desk is what the limit is for.
 */
export function watchIdle(): void {
  let last = Date.now();
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
    window.addEventListener(kind, () => (last = Date.now()), { passive: true, capture: true });
  }
  setInterval(() => {
    const now = session.value;
    if (now?.login !== "in" || !now.idle_s || expired.value) return;
    if (Date.now() - last < now.idle_s * 1000) return;
    expired.value = true;
    get<unknown>("/api/session", { method: "DELETE", bare: true }).catch(() => {
      // Then it ends by itself, as soon as nothing is asked any more.
    });
  }, LOOK_EVERY_MS);
}

export async function logout(): Promise<void> {
  await get<unknown>("/api/session", { method: "DELETE", bare: true });
  await loadSession();
}

export function may(right: Right): boolean {
  const rights = session.value?.rights;
  return rights === undefined || rights.includes(right);
}

/** Why not; null when it is allowed. */
export function whyNot(right: Right): string | null {
  return may(right) ? null : rightMissing(right, session.value?.user?.role ?? null);
}
