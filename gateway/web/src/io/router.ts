/** Where the page is. */

import { signal } from "@preact/signals";
import { address, parse, type Route, type View } from "../core/route";

export const route = signal<Route>(parse(location.pathname, location.search));

/** Goes to a place; `replace` when the step back should not lead here again. */
export function go(view: View, id?: string | null, query: Record<string, string> = {}, replace = false): void {
  const to = address(view, id, query);
  if (to !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", to);
  route.value = parse(location.pathname, location.search);
}

export function startRouter(): void {
  window.addEventListener("popstate", () => {
    route.value = parse(location.pathname, location.search);
  });
  // Links of the page stay in the page.
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname.startsWith("/api/") || link.getAttribute("href")?.startsWith("#")) return;
    event.preventDefault();
    const to = parse(link.pathname, link.search);
    go(to.view, to.id, to.query);
  });
}
