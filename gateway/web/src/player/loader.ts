/**
 * Fetches the camera's own pictures and decodes those that are about to be shown. Everything is
 * bounded: requests under way, compressed bytes, decoded pictures; what is no longer wanted is
 * aborted.
 */

import { ask, words } from "../io/api";

/** Requests at once; the box reads two at a time. */
const AT_ONCE = 4;
/** Compressed pictures that are kept, in bytes. */
const KEPT_BYTES = 48e6;
/** Decoded pictures that are kept, for one camera. */
const DECODED = 10;
/** A picture that failed is tried again after this time. */
const AGAIN_MS = 2_000;

export interface Counts {
  fetched: number;
  failed: number;
  /** Why the last one failed. */
  reason: string | null;
}

export class FrameLoader {
  readonly #url: (n: number) => string;
  readonly #ready: () => void;
  #jpegs = new Map<number, Blob>();
  #bytes = 0;
  #pictures = new Map<number, ImageBitmap>();
  #decoding = new Set<number>();
  #underWay = new Map<number, AbortController>();
  #failed = new Map<number, number>();
  #queue: number[] = [];
  #closed = false;
  readonly counts: Counts = { fetched: 0, failed: 0, reason: null };

  /** `ready` is called whenever something more can be shown. */
  constructor(url: (n: number) => string, ready: () => void) {
    this.#url = url;
    this.#ready = ready;
  }

  /** What is wanted now, the most urgent first. */
  want(list: number[]): void {
    if (this.#closed) return;
    const set = new Set(list);
    for (const [n, request] of this.#underWay) {
      if (!set.has(n)) {
        request.abort();
        this.#underWay.delete(n);
      }
    }
    const now = performance.now();
    this.#queue = list.filter(
      (n) => !this.#jpegs.has(n) && !this.#underWay.has(n) && (this.#failed.get(n) ?? 0) <= now,
    );
    for (const n of list.slice(0, 5)) this.#decode(n);
    this.#pump();
  }

  has(n: number): boolean {
    return this.#pictures.has(n);
  }

  /** Whether it is fetched, though it may not be decoded yet. */
  fetched(n: number): boolean {
    return this.#jpegs.has(n);
  }

  picture(n: number): ImageBitmap | null {
    return this.#pictures.get(n) ?? null;
  }

  jpeg(n: number): Blob | null {
    return this.#jpegs.get(n) ?? null;
  }

  close(): void {
    this.#closed = true;
    for (const request of this.#underWay.values()) request.abort();
    for (const picture of this.#pictures.values()) picture.close();
    this.#underWay.clear();
    this.#pictures.clear();
    this.#jpegs.clear();
    this.#queue = [];
  }

  #pump(): void {
    while (this.#underWay.size < AT_ONCE) {
      const n = this.#queue.shift();
      if (n === undefined) return;
      void this.#fetch(n);
    }
  }

  async #fetch(n: number): Promise<void> {
    const request = new AbortController();
    this.#underWay.set(n, request);
    try {
      const response = await ask(this.#url(n), { signal: request.signal, headers: { accept: "image/jpeg" } });
      const jpeg = await response.blob();
      if (request.signal.aborted || this.#closed) return;
      this.#jpegs.set(n, jpeg);
      this.#bytes += jpeg.size;
      this.counts.fetched += 1;
      this.counts.reason = null;
      this.#forget(n);
      this.#decode(n);
    } catch (why) {
      if (request.signal.aborted || this.#closed) return;
      this.counts.failed += 1;
      this.counts.reason = words(why);
      this.#failed.set(n, performance.now() + AGAIN_MS);
      this.#ready();
    } finally {
      if (this.#underWay.get(n) === request) this.#underWay.delete(n);
      if (!this.#closed) this.#pump();
    }
  }

  /** The farthest pictures go first. */
  #forget(now: number): void {
    if (this.#bytes <= KEPT_BYTES) return;
    const far = [...this.#jpegs.keys()].sort((a, b) => Math.abs(b - now) - Math.abs(a - now));
    for (const n of far) {
      if (this.#bytes <= KEPT_BYTES * 0.9) return;
      this.#bytes -= this.#jpegs.get(n)?.size ?? 0;
      this.#jpegs.delete(n);
    }
  }

  #decode(n: number): void {
    const jpeg = this.#jpegs.get(n);
    if (!jpeg || this.#pictures.has(n) || this.#decoding.has(n)) return;
    this.#decoding.add(n);
    createImageBitmap(jpeg)
      .then(
        (picture) => {
          if (this.#closed) return picture.close();
          this.#pictures.set(n, picture);
          if (this.#pictures.size > DECODED) {
            const far = [...this.#pictures.keys()].sort((a, b) => Math.abs(b - n) - Math.abs(a - n))[0];
            if (far !== undefined && far !== n) {
              this.#pictures.get(far)?.close();
              this.#pictures.delete(far);
            }
          }
          this.#ready();
        },
        () => {
          this.counts.failed += 1;
          this.counts.reason = "a picture cannot be decoded";
        },
      )
      .finally(() => this.#decoding.delete(n));
  }
}
