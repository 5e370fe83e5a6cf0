/** Reads server-sent events from text that arrives in any pieces. */

export interface ServerEvent {
  id: string | null;
  event: string;
  data: string;
}

export class SseReader {
  #rest = "";

  /** Takes the next piece; gives the events that are complete with it. */
  take(text: string): ServerEvent[] {
    this.#rest += text;
    const events: ServerEvent[] = [];
    for (;;) {
      const end = /\r?\n\r?\n/.exec(this.#rest);
      if (!end) return events;
      const block = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const event = read(block);
      if (event) events.push(event);
    }
  }
}

function read(block: string): ServerEvent | null {
  const event: ServerEvent = { id: null, event: "message", data: "" };
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") event.id = value;
    else if (name === "event") event.event = value;
    else if (name === "data") data.push(value);
  }
  event.data = data.join("\n");
  return data.length === 0 ? null : event;
}
