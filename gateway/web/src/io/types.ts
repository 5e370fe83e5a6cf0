/** The API's shapes, as far as the page uses them; `/api/openapi.json` is the contract. */

import type { Right } from "../core/words";

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
}

export interface Contribution {
  rule: string;
  text: string;
  points: number;
}

export interface Evidence {
  seq: number;
  at: string;
  what: string;
}

export interface Review {
  alert_id: string;
  verdict: "legitimate" | "confirmed";
  note: string;
  reviewer: string;
}

export interface Alert {
  alert_id: string;
  revision: number;
  seq: number;
  at: string;
  state: "open" | "cleared";
  cleared_because?: string;
  rule: string;
  kind: string;
  score: number;
  severity: string;
  contributions: Contribution[];
  evidence: Evidence[];
  clip_id: string;
  event_id: string | null;
  order_id: string | null;
  ticket_no: string | null;
  staff_id: string | null;
  staff_alerts_today: number | null;
  amount: number | null;
  original_amount: number | null;
  timestamp: string | null;
  delivery: string;
  review: Review | null;
  text: string;
}

export interface PosItem {
  sku: string | null;
  name: string | null;
  quantity: number | null;
  unit_price: number | null;
  total_price: number | null;
  discount: number | null;
}

export interface Receipt {
  kind: string;
  began_at: string;
  total: number | null;
  lines: string[];
  marks: { line: number; kind: string; amount: number | null }[];
  kicks: number;
  images: number;
  end: string;
  damaged: boolean;
}

export interface Item {
  seq: number;
  at: string;
  clock: "synced" | "unsynced";
  kind: string;
  text: string;
  event_id?: string;
  order_id?: string;
  ticket_no?: string;
  staff_id?: string;
  alert_id?: string;
  score?: number;
  severity?: string;
  pos?: { event_type: string; amount: number | null; items: PosItem[]; metadata: Record<string, unknown> };
  receipt?: Receipt;
  drawer?: { state: "open" | "closed"; initial: boolean };
  witness?: { witness: string; state: string; reason: string | null };
  alert?: { revision: number; state: string; kind: string; rule: string; amount: number | null };
  notice?: { code: string };
}

export interface Gap {
  from: string;
  to: string;
  seconds: number;
}

export interface Clip {
  clip_id: string;
  alert_id: string;
  state: "recording" | "complete" | "partial" | "empty" | "dropped";
  reason?: string;
  at: string;
  clock: string;
  kind: string;
  staff_id: string | null;
  score: number;
  from: string;
  to: string;
  version: string;
  frames: number;
  bytes: number;
  held?: string;
  reviewed: boolean;
  sent: boolean;
  thinned: boolean;
  cameras: {
    camera: number;
    name: string;
    frames: number;
    bytes: number;
    first_at: string;
    last_at: string;
    gaps: Gap[];
  }[];
}

export interface ClipTimes {
  clip_id: string;
  version: string;
  recording: boolean;
  from: string;
  cameras: { camera: number; name: string; ms: number[]; left_out: number }[];
}

export interface Camera {
  camera: number;
  name: string;
  delivering: boolean;
  fps: number;
  seen_at: string | null;
}

export interface Part {
  state: string;
  what: string;
  reason?: string;
  since: string;
  reopened: number;
}

export interface Status {
  version: string;
  pid: number;
  store_code: string;
  register_id: string;
  demo: boolean;
  at: string;
  clock: string;
  boot: number;
  uptime_s: number;
  timezone: string;
  currency: string;
  currency_digits: number;
  log_level: string;
  ready: boolean;
  parts: Record<string, Part>;
  pos_events: number;
  alerts: number;
  frames: number;
  frames_dropped: number;
  outbox: { depth: number; lanes: Record<string, number>; oldest_s: number; trimmed: number };
  log: {
    id: string;
    writable: boolean;
    why?: string;
    first_seq: number;
    durable_seq: number;
    bytes: number;
    budget_bytes: number;
    waiting_bytes: number;
    written_bytes: number;
    syncs: number;
    suspect_segments: number;
    damaged_ranges: number;
    index_lag: number;
    index_rebuilds: number;
  };
  quarantine: { total: number; evicted: number };
  media?: {
    state: string;
    why?: string;
    clips: number;
    clips_held: number;
    dropped: number;
    bytes: number;
    used_bytes: number;
    budget_bytes: number;
    written_bytes: number;
  };
}

export interface Quarantined {
  at: string;
  source: string;
  reason: string;
  text: string;
  origin: string;
  size: number;
  raw: string;
}

export interface Day {
  date: string;
  timezone: string;
  from: string;
  to: string;
  openings: { seq: number; from: string; to: string | null; cause: string; alert_id: string | null }[];
  receipts: { seq: number; at: string; kind: string; total: number | null; ticket_no: string | null }[];
  till: { seq: number; at: string; event_type: string; amount: number | null; staff_id: string | null }[];
  alerts: {
    alert_id: string;
    at: string;
    kind: string;
    score: number;
    severity: string;
    state: string;
    staff_id: string | null;
  }[];
  motion: { camera: number; region: number; from: string; to: string | null }[];
  hours: { from: string; sales: number; taken: number; receipts: number; openings: number; alerts: number }[];
  staff: {
    staff_id: string;
    sales: number;
    voids: number;
    refunds: number;
    no_sales: number;
    discounts: number;
    alerts: number;
  }[];
  left_out: number;
  complete: boolean;
}

export interface Session {
  demo: boolean;
  login: "none" | "setup" | "needed" | "in";
  user: { name: string; role: string } | null;
  rights: Right[];
  expires: string | null;
  idle_s?: number | null;
  code_needed: boolean;
}

export interface Login {
  name: string;
  role: string;
  made: string;
  last: string | null;
}

/** Somebody saw footage. */
export interface Look {
  seq: number;
  at: string;
  who: string;
  role: string | null;
  from: string;
  what: string;
  clip: string | null;
  camera: string;
}
