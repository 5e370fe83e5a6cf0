/**
 * The clock that all cameras of a player follow. Pure: the time of the device is passed in, and
 * what is shown follows from it, so that pictures come at their true times whatever the display
 * manages to draw.
 */

export interface PlayerClock {
  /** Place in the clip when it was last set, in ms. */
  base: number;
  /** The device's time then. */
  since: number;
  playing: boolean;
  speed: number;
  /** Pictures are missing: the place stands still until they are here. */
  held: boolean;
  duration: number;
}

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8] as const;

export function stopped(duration: number, at = 0): PlayerClock {
  return { base: clamp(at, duration), since: 0, playing: false, speed: 1, held: false, duration };
}

/** Where it is. */
export function place(clock: PlayerClock, now: number): number {
  if (!clock.playing || clock.held) return clock.base;
  return clamp(clock.base + Math.max(0, now - clock.since) * clock.speed, clock.duration);
}

export function ended(clock: PlayerClock, now: number): boolean {
  return place(clock, now) >= clock.duration;
}

/** Plays; from the beginning when it is at the end. */
export function play(clock: PlayerClock, now: number): PlayerClock {
  const base = ended(clock, now) ? 0 : place(clock, now);
  return { ...clock, base, since: now, playing: true };
}

export function pause(clock: PlayerClock, now: number): PlayerClock {
  return { ...clock, base: place(clock, now), since: now, playing: false, held: false };
}

export function seek(clock: PlayerClock, to: number, now: number): PlayerClock {
  return { ...clock, base: clamp(to, clock.duration), since: now };
}

/** Another speed does not move the place. */
export function withSpeed(clock: PlayerClock, speed: number, now: number): PlayerClock {
  return { ...clock, base: place(clock, now), since: now, speed };
}

/** The next faster or slower one. */
export function nextSpeed(speed: number, by: 1 | -1): number {
  const at = SPEEDS.findIndex((known) => known === speed);
  return SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, (at < 0 ? 2 : at) + by))] ?? 1;
}

/** Stands still while pictures are missing, without counting as paused. */
export function hold(clock: PlayerClock, held: boolean, now: number): PlayerClock {
  if (clock.held === held) return clock;
  return { ...clock, base: place(clock, now), since: now, held };
}

function clamp(at: number, duration: number): number {
  return Math.min(Math.max(0, duration), Math.max(0, at));
}
