/** The page's own paths. */

export type View = "now" | "alerts" | "receipts" | "day" | "clips" | "system";

export interface Route {
  view: View;
  /** An alert, a clip, a receipt's position, or a day. */
  id: string | null;
  query: Record<string, string>;
}

export const VIEWS: readonly View[] = ["now", "alerts", "receipts", "day", "clips", "system"];

/** The place that an address names; what nobody knows is the first view. */
export function parse(path: string, search = ""): Route {
  const [first = "", second = ""] = path.split("/").filter((part) => part !== "");
  const view = VIEWS.find((known) => known === first) ?? "now";
  const query = Object.fromEntries(new URLSearchParams(search));
  return { view, id: second === "" ? null : decode(second), query };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The address of a place. */
export function address(view: View, id?: string | null, query: Record<string, string> = {}): string {
  const path = view === "now" ? "/" : `/${view}`;
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  return `${path}${id ? `${path.endsWith("/") ? "" : "/"}${encodeURIComponent(id)}` : ""}${search ? `?${search}` : ""}`;
}
