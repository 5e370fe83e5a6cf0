/** What the API's short words mean to a person. Unknown ones are shown as they are. */

const KINDS: Record<string, string> = {
  void: "Void",
  refund: "Refund",
  return: "Suspicious return",
  suspicious_return: "Suspicious return",
  no_sale: "Drawer without a sale",
  discount: "Large discount",
  override: "Price override",
  price_override: "Price override",
  forced: "Drawer forced",
  left_open: "Drawer left open",
  suppressed: "Payment without paper",
  camera_blinded: "Camera blinded",
  blinded: "Camera blinded",
  high_value: "High-value sale",
  high_value_transaction: "High-value sale",
  drawer_opened: "Drawer opened by the till",
  cash_drawer_opened: "Drawer opened by the till",
};

/** What an alert or clip is about. */
export function kindWords(kind: string): string {
  return KINDS[kind] ?? plain(kind);
}

const TILL: Record<string, string> = {
  payment_cleared: "Payment",
  void_transaction: "Void",
  refund_issued: "Refund",
  suspicious_return: "Suspicious return",
  no_sale_opened: "No-sale key",
  discount_applied: "Discount",
  price_override: "Price override",
  cash_drawer_opened: "Drawer opened by the till",
  high_value_transaction: "High-value sale",
  quantity_changed: "Quantity changed",
};

/** What the till said. */
export function tillWords(type: string): string {
  return TILL[type] ?? plain(type);
}

const PAPER: Record<string, string> = {
  sale: "Sale",
  item_void: "Line voided",
  transaction_void: "Void",
  post_void: "Void afterwards",
  return: "Refund",
  refund_no_receipt: "Refund without receipt",
  exchange: "Exchange",
  discount: "Discount",
  price_override: "Price override",
  no_sale: "No-sale slip",
  paid_in: "Paid in",
  paid_out: "Paid out",
  reprint: "Copy",
  training: "Training",
  unknown: "Unknown document",
};

/** What a printed document is. */
export function paperWords(kind: string): string {
  return PAPER[kind] ?? plain(kind);
}

/** `drawer_left_open` as words. */
export function plain(word: string): string {
  const text = word.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Severity as a number of bars, 1 to 4. */
export function severityLevel(severity: string | null | undefined): number {
  return { low: 1, medium: 2, high: 3, critical: 4 }[severity ?? ""] ?? 0;
}

export interface PartName {
  name: string;
  /** What is missing when it is down. */
  loss: string;
}

const PARTS: Record<string, PartName> = {
  drawer: { name: "Drawer", loss: "openings are not seen" },
  kick: { name: "Kick line", loss: "it cannot be told who opened the drawer" },
  printer: { name: "Printer tap", loss: "receipts are not read" },
  pos_mqtt: { name: "Till events", loss: "what the till says is not heard" },
  pos_topics: { name: "Till topics", loss: "a part of what the till says is not heard" },
  ingest: { name: "Tills over HTTP", loss: "tills cannot post their events" },
  control: { name: "Local commands", loss: "commands on this box do not find it" },
  uplink: { name: "Head office", loss: "messages wait here, nothing is lost" },
};

/** What a part is called; cameras by their own names. */
export function partName(part: string, cameras: readonly { camera: number; name: string }[] = []): PartName {
  const known = PARTS[part];
  if (known) return known;
  const number = /^camera(\d+)$/.exec(part)?.[1];
  if (number !== undefined) {
    const camera = cameras.find((of) => of.camera === Number(number));
    return { name: camera ? `Camera ${camera.name}` : `Camera ${number}`, loss: "no footage is kept" };
  }
  return { name: plain(part), loss: "" };
}

const PART_STATES: Record<string, string> = {
  up: "works",
  down: "does not work",
  starting: "starting",
  absent: "not configured",
};

export function partState(state: string): string {
  return PART_STATES[state] ?? state;
}

/** How far an alert's message has come. */
export const DELIVERY: Record<string, { word: string; means: string }> = {
  accepted: { word: "accepted", means: "on this box's disk; a power cut no longer loses it" },
  acknowledged: { word: "acknowledged", means: "head office's broker said Success for exactly this message" },
  delivered: { word: "delivered", means: "head office's receipt names it" },
  local: { word: "local", means: "no message was made for it" },
  abandoned: { word: "abandoned", means: "its message will never be sent" },
};

const CLIP_STATES: Record<string, string> = {
  recording: "being recorded",
  complete: "complete",
  partial: "partial",
  empty: "empty",
  dropped: "given up",
};

export function clipState(state: string): string {
  return CLIP_STATES[state] ?? state;
}

const CAUSES: Record<string, string> = {
  sale: "kicked, beside a sale",
  kick: "kicked, without a sale",
  none: "nothing kicked it",
  before: "open already",
};

/** Why the drawer opened. */
export function causeWords(cause: string): string {
  return CAUSES[cause] ?? cause;
}

export type Right = "look" | "review" | "footage" | "system" | "logins";

const RIGHTS: Record<Right, string> = {
  look: "look at alerts and events",
  review: "judge alerts",
  footage: "see footage",
  system: "see the system",
  logins: "manage logins",
};

/** Why a control is disabled. */
export function rightMissing(right: Right, role: string | null): string {
  return role ? `Your role (${roleWords(role)}) may not ${RIGHTS[right]}.` : `You may not ${RIGHTS[right]} here.`;
}

export function roleWords(role: string): string {
  return role === "loss-prevention" ? "loss prevention" : role;
}

/** 1st, 2nd, 3rd, 11th. */
export function nth(n: number): string {
  const tens = n % 100;
  if (tens >= 11 && tens <= 13) return `${n}th`;
  return `${n}${["th", "st", "nd", "rd"][n % 10] ?? "th"}`;
}
