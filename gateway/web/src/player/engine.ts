/** Draws the pictures of several cameras by one clock. */

import { address } from "./urls";
import { FrameLoader } from "./loader";
import { ended, hold, pause, place, play, seek, stopped, withSpeed, type PlayerClock } from "./clock";
import { frameShown, gapAt, gaps, newestHere, stepTo, wanted, type Gap } from "./frames";
import type { ClipTimes } from "../io/types";

/** A picture may be so much older than the place before the clock waits for the right one. */
const LATE_MS = 350;
/** What is wanted is asked for again this often while it plays. */
const WANT_EVERY_MS = 200;

export interface Track {
  camera: number;
  name: string;
  ms: number[];
  gaps: Gap[];
  loader: FrameLoader;
  canvas: HTMLCanvasElement | null;
  /** The picture that is drawn; -1 for none. */
  drawn: number;
  gap: Gap | null;
}

export class Engine {
  readonly tracks: Track[];
  readonly duration: number;
  clock: PlayerClock;
  #request = 0;
  #wantedAt = 0;
  #tell: (engine: Engine) => void;

  constructor(times: ClipTimes, duration: number, at: number, tell: (engine: Engine) => void) {
    this.duration = duration;
    this.#tell = tell;
    this.clock = stopped(duration, at);
    this.tracks = times.cameras.map((camera) => ({
      camera: camera.camera,
      name: camera.name,
      ms: camera.ms,
      gaps: gaps(camera.ms, duration),
      loader: new FrameLoader(
        (n) => address(times.clip_id, n, camera.camera, times.version),
        () => this.#soon(),
      ),
      canvas: null,
      drawn: -1,
      gap: null,
    }));
    this.#want();
  }

  get at(): number {
    return place(this.clock, performance.now());
  }

  /** Why pictures do not come. */
  get trouble(): string | null {
    return this.tracks.map((track) => track.loader.counts.reason).find((reason) => reason !== null) ?? null;
  }

  canvas(n: number, canvas: HTMLCanvasElement | null): void {
    const track = this.tracks[n];
    if (!track || track.canvas === canvas) return;
    track.canvas = canvas;
    track.drawn = -1;
    this.#soon();
  }

  toggle(): void {
    const now = performance.now();
    this.#set(this.clock.playing ? pause(this.clock, now) : play(this.clock, now));
  }

  pause(): void {
    if (this.clock.playing) this.#set(pause(this.clock, performance.now()));
  }

  seek(to: number): void {
    this.#set(seek(this.clock, to, performance.now()));
  }

  step(by: 1 | -1): void {
    const now = performance.now();
    const still = pause(this.clock, now);
    const to = stepTo(this.tracks.map((track) => track.ms), still.base, by, this.duration);
    this.#set(seek(still, to, now));
  }

  speed(speed: number): void {
    this.#set(withSpeed(this.clock, speed, performance.now()));
  }

  close(): void {
    cancelAnimationFrame(this.#request);
    for (const track of this.tracks) track.loader.close();
  }

  #set(clock: PlayerClock): void {
    this.clock = clock;
    this.#want();
    this.#soon();
    this.#tell(this);
  }

  #want(): void {
    const { playing, speed } = this.clock;
    const at = this.at;
    this.#wantedAt = performance.now();
    for (const track of this.tracks) track.loader.want(wanted(track.ms, at, speed, playing));
  }

  #soon(): void {
    if (this.#request === 0) this.#request = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#request = 0;
    const now = performance.now();
    if (this.clock.playing && ended(this.clock, now)) this.clock = pause(this.clock, now);
    const at = place(this.clock, now);
    let late = false;
    for (const track of this.tracks) late = this.#show(track, at) || late;
    if (this.clock.playing) this.clock = hold(this.clock, late, now);
    if (now - this.#wantedAt > WANT_EVERY_MS && this.clock.playing) this.#want();
    this.#tell(this);
    if (this.clock.playing) this.#soon();
  }

  /** True when the picture of this place is not here yet. */
  #show(track: Track, at: number): boolean {
    const n = frameShown(track.ms, at);
    track.gap = gapAt(track.gaps, at);
    if (n < 0) {
      this.#clear(track);
      return false;
    }
    const here = newestHere((of) => track.loader.has(of), n);
    const age = here < 0 ? Number.POSITIVE_INFINITY : (track.ms[n] ?? 0) - (track.ms[here] ?? 0);
    // After a jump an older picture would tell something else.
    const near = age <= LATE_MS * Math.max(1, this.clock.speed);
    if (here >= 0 && here !== track.drawn && (near || here === n)) this.#paint(track, here);
    return !near;
  }

  #paint(track: Track, n: number): void {
    const picture = track.loader.picture(n);
    const { canvas } = track;
    if (!picture || !canvas) return;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    canvas.getContext("2d", { alpha: false })?.drawImage(picture, 0, 0);
    canvas.dataset["frame"] = String(n);
    track.drawn = n;
  }

  #clear(track: Track): void {
    if (track.drawn < 0 || !track.canvas) return;
    track.canvas.getContext("2d", { alpha: false })?.clearRect(0, 0, track.canvas.width, track.canvas.height);
    track.drawn = -1;
  }
}
