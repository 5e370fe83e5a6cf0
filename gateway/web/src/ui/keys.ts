/** Commands by key. Views add theirs while they are shown; `?` lists what counts at the moment. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { keysOn } from "../io/prefs";

export interface Command {
  /** As `KeyboardEvent.key` names it. */
  keys: string[];
  words: string;
  run: () => void;
  /** The key goes on to the browser when this says so. */
  unless?: () => boolean;
}

export interface CommandGroup {
  title: string;
  commands: Command[];
}

export const groups = signal<CommandGroup[]>([]);

/** Adds commands for as long as the component is there. */
export function useCommands(title: string, commands: Command[]): void {
  const newest = useRef(commands);
  newest.current = commands;
  const shape = commands.map((command) => command.keys.join(" ") + command.words).join("|");
  useEffect(() => {
    const group: CommandGroup = {
      title,
      commands: newest.current.map((command, n) => ({
        ...command,
        run: () => newest.current[n]?.run(),
        unless: () => newest.current[n]?.unless?.() ?? false,
      })),
    };
    groups.value = [...groups.value, group];
    return () => {
      groups.value = groups.value.filter((other) => other !== group);
    };
  }, [title, shape]);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

export function startKeys(): void {
  window.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const { key, target } = event;
    if (isTyping(target)) {
      if (key === "Escape") (target as HTMLElement).blur();
      return;
    }
    const onControl = target instanceof Element && target.closest("button, a, summary");
    if (onControl && (key === " " || key === "Enter")) return;
    if (!keysOn.value && key !== "Escape" && key !== "?") return;
    // What was added last is nearest to the reader.
    for (const group of [...groups.value].reverse()) {
      const command = group.commands.find((known) => known.keys.includes(key));
      if (!command || command.unless?.()) continue;
      event.preventDefault();
      command.run();
      return;
    }
  });
}

/** A key as it is shown. */
export function keyName(key: string): string {
  const names: Record<string, string> = {
    " ": "Space",
    ArrowLeft: "←",
    ArrowRight: "→",
    ArrowUp: "↑",
    ArrowDown: "↓",
    Escape: "Esc",
  };
  return names[key] ?? key;
}
