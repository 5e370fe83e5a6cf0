/** Asks the daemon. Every failure is a `Failure` with one sentence for a person. */

import type { Problem } from "./types";

export class Failure extends Error {
  readonly status: number;
  /** The last part of the problem's `type`. */
  readonly kind: string;
  /** Seconds after which to try again, when the answer says so. */
  readonly retryAfter: number | null;

  constructor(status: number, kind: string, detail: string, retryAfter: number | null = null) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

/** Somebody has to log in before anything is answered; resolves when somebody has. */
let onLogin: (() => Promise<boolean>) | null = null;

export function whenLoginIsNeeded(ask: () => Promise<boolean>): void {
  onLogin = ask;
}

export interface Asked {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
  headers?: Record<string, string>;
  /** Do not ask for a login: the question is about the login itself. */
  bare?: boolean;
}

const PATIENCE_MS = 35_000;

/** The answer, whatever its kind; a `Failure` for a status of 400 and more. */
export async function ask(path: string, asked: Asked = {}): Promise<Response> {
  for (;;) {
    const response = await send(path, asked);
    if (response.ok) return response;
    const why = await failure(response);
    const expired = why.status === 401 && why.kind === "login" && !asked.bare;
    if (!expired || !onLogin || !(await onLogin())) throw why;
  }
}

/** The answer as JSON. */
export async function get<T>(path: string, asked: Asked = {}): Promise<T> {
  const response = await ask(path, asked);
  // What is done may have nothing to say.
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Sends JSON, gives JSON. */
export function change<T>(method: string, path: string, body: unknown, asked: Asked = {}): Promise<T> {
  return get<T>(path, { ...asked, method, body });
}

async function send(path: string, asked: Asked): Promise<Response> {
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  const signal = asked.signal ? AbortSignal.any([asked.signal, timeout]) : timeout;
  const headers: Record<string, string> = { accept: "application/json", ...asked.headers };
  const init: RequestInit = { method: asked.method ?? "GET", signal, headers, credentials: "same-origin" };
  if (asked.body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(asked.body);
  }
  try {
    return await fetch(path, init);
  } catch (why) {
    if (asked.signal?.aborted) throw why;
    throw new Failure(0, "network", "The register's box does not answer. Is it on, and in the same network?");
  }
}

export async function failure(response: Response): Promise<Failure> {
  const after = Number(response.headers.get("retry-after"));
  const retryAfter = Number.isFinite(after) && after > 0 ? after : null;
  try {
    const problem = (await response.json()) as Problem;
    const name = problem.type.slice(problem.type.lastIndexOf(":") + 1).replace(/^.*\//, "");
    return new Failure(response.status, name, sentence(problem.detail || problem.title), retryAfter);
  } catch {
    return new Failure(response.status, "unknown", `The box answered ${response.status}.`, retryAfter);
  }
}

/** Details begin in lower case, as the log has them. */
function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}

/** Any error in words. */
export function words(why: unknown): string {
  return why instanceof Error ? why.message : String(why);
}
