/** What is around every view: where to go, whose register it is, whether it is connected. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { VIEWS, address, type View } from "../core/route";
import { phaseWords } from "../core/feed";
import { many } from "../core/money";
import { clock, utc, zoneName } from "../core/time";
import { kindWords, roleWords } from "../core/words";
import { arrived, feed, hole } from "../io/live";
import { theme } from "../io/prefs";
import { go, route } from "../io/router";
import { logout, session } from "../io/session";
import { demo, now, queue, status, statusProblem, zone } from "../io/store";
import { Icon, State } from "./bits";
import { Help, helpOpen } from "./help";
import { useCommands } from "./keys";
import { Expired, SetUp } from "./login";
import { Toaster } from "./toast";

const TITLES: Record<View, string> = {
  now: "Now",
  alerts: "Alerts",
  receipts: "Receipts",
  day: "Day",
  clips: "Clips",
  system: "System",
};

function Links(): JSX.Element {
  const waiting = queue.value?.length ?? 0;
  const down = Object.values(status.value?.parts ?? {}).filter((part) => part.state === "down").length;
  return (
    <ul>
      {VIEWS.map((view) => {
        const here = route.value.view === view;
        return (
          <li key={view}>
            <a href={address(view)} aria-current={here ? "page" : undefined}>
              <Icon of={view} />
              <span>{TITLES[view]}</span>
              {view === "alerts" && waiting > 0 && (
                <span class="badge num">
                  {waiting}
                  <span class="sr"> to review</span>
                </span>
              )}
              {view === "system" && down > 0 && (
                <span class="badge bad num">
                  {down}
                  <span class="sr"> {down === 1 ? "part does" : "parts do"} not work</span>
                </span>
              )}
            </a>
          </li>
        );
      })}
    </ul>
  );
}

function Connection(): JSX.Element {
  const state = feed.value;
  const text = phaseWords(state, Date.now() + 0 * now.value);
  const mark = state.phase === "live" ? "ok" : state.phase === "connecting" ? "busy" : "warn";
  return (
    <span class="connection" data-phase={state.phase} title={state.reason ?? "Everything is shown as it happens."}>
      <State mark={mark}>{text}</State>
    </span>
  );
}

/** Only changes that last are worth reading out. */
function ConnectionNews(): JSX.Element {
  const [text, setText] = useState("");
  const away = feed.value.phase === "waiting" || feed.value.phase === "offline";
  const told = useRef(false);
  useEffect(() => {
    if (!away) {
      if (told.current) setText("Connected again.");
      told.current = false;
      return;
    }
    const timer = setTimeout(() => {
      told.current = true;
      setText("The connection to the register is lost. What is shown may be old.");
    }, 4_000);
    return () => clearTimeout(timer);
  }, [away]);
  return (
    <span class="sr" role="status">
      {text}
    </span>
  );
}

const ANNOUNCE_MS = 10_000;

/** New alerts, read out at most every ten seconds. */
function AlertNews(): JSX.Element {
  const [text, setText] = useState("");
  const waiting = useRef<string[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(() => {
    for (const item of arrived.value) waiting.current.push(`${kindWords(item.alert?.kind ?? "")}, ${item.severity ?? ""}`);
    if (waiting.current.length === 0 || timer.current) return;
    const tell = (): void => {
      const all = waiting.current;
      waiting.current = [];
      timer.current = null;
      if (all.length === 0) return;
      setText(all.length === 1 ? `New alert: ${all[0]}` : `${many(all.length, "new alert")}: ${all.join("; ")}`);
      timer.current = setTimeout(tell, ANNOUNCE_MS);
    };
    timer.current = setTimeout(tell, 500);
  }, [arrived.value]);
  return (
    <span class="sr" role="status">
      {text}
    </span>
  );
}

function Clock(): JSX.Element {
  const at = now.value;
  const known = status.value?.clock === "synced";
  return (
    <time class="num clock" dateTime={new Date(at).toISOString()} title={utc(at)}>
      {clock(at, zone.value)} <span class="dim">{zoneName(at, zone.value)}</span>
      {status.value && !known && (
        <span class="dim block" title="The box has not compared its clock with a time server yet.">
          clock not confirmed
        </span>
      )}
    </time>
  );
}

function ThemeButton(): JSX.Element {
  const next = { auto: "light", light: "dark", dark: "auto" } as const;
  const words = { auto: "auto", light: "light", dark: "dark" } as const;
  return (
    <button type="button" class="quiet small" onClick={() => (theme.value = next[theme.value])}>
      <Icon of="moon" size={15} />
      <span>
        <span class="sr">Colours: </span>
        {words[theme.value]}
      </span>
    </button>
  );
}

function Who(): JSX.Element | null {
  const user = session.value?.user;
  if (!user) return null;
  return (
    <div class="who">
      <span>
        {user.name} <span class="dim">{roleWords(user.role)}</span>
      </span>
      <button type="button" class="quiet small" onClick={() => void logout()}>
        Log out
      </button>
    </div>
  );
}

function Strips(): JSX.Element {
  const problem = statusProblem.value;
  return (
    <>
      {demo.value && (
        <div class="strip demo" role="region" aria-label="Demo">
          <span>
            <b class="tag">demo</b> Everything here is simulated, and nothing leaves this machine.
          </span>
        </div>
      )}
      <SetUp />
      {problem && feed.value.phase !== "live" && (
        <div class="strip warn" role="region" aria-label="Connection">
          <span>
            {problem} What is shown is from {status.value ? clock(Date.parse(status.value.at), zone.value) : "before"}.
          </span>
        </div>
      )}
      {hole.value && (
        <div class="strip warn">
          <span>{hole.value}</span>
          <button type="button" class="quiet" onClick={() => (hole.value = null)}>
            All right
          </button>
        </div>
      )}
    </>
  );
}

export function Shell({ children }: { children: ComponentChildren }): JSX.Element {
  const { view } = route.value;
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    const waiting = queue.value?.length ?? 0;
    document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${TITLES[view]} · Tillwatch`;
  }, [view, queue.value]);
  // Who follows a link goes on reading in the new view.
  useEffect(() => {
    if (first.current) first.current = false;
    else {
      main.current?.focus({ preventScroll: true });
      main.current?.scrollTo(0, 0);
    }
  }, [view]);
  useCommands("Everywhere", [
    { keys: ["?"], words: "These keys", run: () => (helpOpen.value = true) },
    ...VIEWS.map((to, n) => ({ keys: [String(n + 1)], words: TITLES[to], run: () => go(to) })),
  ]);
  const of = status.value;
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="rail">
        <a class="brand" href="/" aria-label="Tillwatch, now">
          <img src="/icon.svg" width="26" height="26" alt="" />
          <span>Tillwatch</span>
        </a>
        {of && (
          <p class="register">
            {of.store_code} <span class="dim">/</span> {of.register_id}
          </p>
        )}
        <nav aria-label="Views">
          <Links />
        </nav>
        <div class="rail-end">
          <Who />
          <Connection />
          <Clock />
          <div class="row">
            <ThemeButton />
            <button type="button" class="quiet small keys-button" onClick={() => (helpOpen.value = true)}>
              <kbd>?</kbd> Keys
            </button>
          </div>
        </div>
      </header>
      <div class="page">
        <Strips />
        <main id="main" ref={main} tabIndex={0} aria-label={TITLES[view]}>
          {children}
        </main>
      </div>
      <ConnectionNews />
      <AlertNews />
      <Toaster />
      <Help />
      <Expired />
    </>
  );
}

