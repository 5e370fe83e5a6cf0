/** What a reader chose, kept in this browser. */

import { effect, signal, type Signal } from "@preact/signals";

function kept<T>(name: string, usual: T): Signal<T> {
  const key = `tillwatch.${name}`;
  let first = usual;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) first = JSON.parse(text) as T;
  } catch {
    // Private windows may have no storage; the choice lasts as long as the page then.
  }
  const value = signal(first);
  effect(() => {
    const now = value.value;
    try {
      localStorage.setItem(key, JSON.stringify(now));
    } catch {
      // As above.
    }
  });
  return value;
}

export const theme = kept<"auto" | "light" | "dark">("theme", "auto");
/** Single-key commands can be turned off: they are in the way of speech input. */
export const keysOn = kept("keys", true);
export const tourSeen = kept("tour-seen", false);
/** Pictures in the list of clips: each of them is a look at footage, which is written down. */
export const thumbs = kept<boolean | null>("thumbs", null);
export const speed = kept("speed", 1);

export function applyTheme(): () => void {
  return effect(() => {
    const root = document.documentElement;
    if (theme.value === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme.value);
  });
}
