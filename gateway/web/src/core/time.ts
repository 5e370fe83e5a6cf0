/** Times of the store: shown in its own zone, whatever zone the reader's device is in. */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found) {
    // A browser that does not know the zone shows UTC, and `zoneName` says so.
    const timeZone = isZone(zone) ? zone : "UTC";
    found = new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", ...options });
    formats.set(key, found);
  }
  return found;
}

/** Whether this browser knows the zone. */
export function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone: zone }) !== null && zone !== "";
  } catch {
    return false;
  }
}

/** `14:34:15` in the zone. */
export function clock(at: number, zone: string): string {
  return format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at);
}

/** `14:34` in the zone. */
export function minutes(at: number, zone: string): string {
  return format(zone, { hour: "2-digit", minute: "2-digit" }).format(at);
}

/** `14:34:15.3` in the zone: the tenth that a player is at. */
export function tenths(at: number, zone: string): string {
  const tenth = Math.floor((((at % 1000) + 1000) % 1000) / 100);
  return `${clock(at, zone)}.${tenth}`;
}

/** `2025-10-04` in the zone. */
export function day(at: number, zone: string): string {
  const parts = format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(at);
  const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
  return `${of("year")}-${of("month")}-${of("day")}`;
}

/** `Sat 4 Oct 2025` of a calendar day. */
export function dayName(date: string): string {
  const at = Date.parse(`${date}T12:00:00Z`);
  if (Number.isNaN(at)) return date;
  return format("UTC", { weekday: "short", day: "numeric", month: "short", year: "numeric" })
    .format(at)
    .replace(",", "");
}

/** The calendar day so many days later. */
export function addDays(date: string, days: number): string {
  const at = Date.parse(`${date}T12:00:00Z`);
  return Number.isNaN(at) ? date : new Date(at + days * 86_400_000).toISOString().slice(0, 10);
}

/** The time, with the day when it is not `today`: `14:34:15`, or `4 Oct 14:34:15`. */
export function moment(at: number, zone: string, now: number): string {
  if (day(at, zone) === day(now, zone)) return clock(at, zone);
  return `${format(zone, { day: "numeric", month: "short" }).format(at)} ${clock(at, zone)}`;
}

/** What a pointer that rests on a time is told: `2025-10-04 14:34:15.293 UTC`. */
export function utc(at: number): string {
  return Number.isFinite(at) ? `${new Date(at).toISOString().replace("T", " ").replace("Z", "")} UTC` : "";
}

/** The zone as people call it at that time: `CEST`, `GMT+2`, `UTC`. */
export function zoneName(at: number, zone: string): string {
  const parts = format(zone, { timeZoneName: "short" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/** How long, in the two largest units: `8 s`, `3 min 5 s`, `2 h 4 min`, `5 d 3 h`. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
    small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
  if (s < 3600) return pair(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86_400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return pair(Math.floor(s / 86_400), "d", Math.floor((s % 86_400) / 3600), "h");
}

/** `just now`, `12 s ago`, `5 min ago`. One unit: it is read at a glance. */
export function ago(at: number, now: number): string {
  const s = Math.floor((now - at) / 1000);
  if (s < 3) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

/** A place beside the cause: `+2.4 s`, `−0.5 s`, `0.0 s`. */
export function offset(ms: number): string {
  const tenths = Math.round(ms / 100) / 10;
  const sign = tenths > 0 ? "+" : tenths < 0 ? "−" : "";
  return `${sign}${Math.abs(tenths).toFixed(1)} s`;
}
