/** Plays a clip: the camera's own pictures at their true times, all cameras by one clock. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { offset, span, tenths, utc } from "../core/time";
import { whyNot } from "../io/session";
import { zone } from "../io/store";
import { speed as keptSpeed } from "../io/prefs";
import type { Clip, ClipTimes } from "../io/types";
import { Act, Icon, State } from "../ui/bits";
import { useCommands } from "../ui/keys";
import { say } from "../ui/toast";
import { SPEEDS, nextSpeed } from "./clock";
import { Engine } from "./engine";
import { film } from "./urls";

export interface Tick {
  key: string;
  ms: number;
  words: string;
  strong?: boolean;
}

interface Props {
  clip: Clip;
  times: ClipTimes;
  /** Where to begin, in ms of the clip. */
  begin: number;
  ticks: Tick[];
  /** Told where it is, whenever that changes. */
  onPlace: (ms: number) => void;
  /** Gives the way to a place. */
  seekRef: { current: ((ms: number) => void) | null };
}

export function Player({ clip, times, begin, ticks, onPlace, seekRef }: Props): JSX.Element {
  const [engine, setEngine] = useState<Engine | null>(null);
  const [, redraw] = useState(0);
  const from = Date.parse(times.from);
  const cause = Date.parse(clip.at) - from;
  const duration = Math.max(1, Date.parse(clip.to) - from);
  const told = useRef(onPlace);
  told.current = onPlace;
  const shown = useRef("");

  useEffect(() => {
    const made = new Engine(times, duration, begin, (of) => {
      const at = of.at;
      // Twenty-five times a second is enough for everything that is not a picture.
      const near = of.clock.playing ? Math.round(at / 40) : at;
      const now = [near, of.clock.playing, of.clock.held, of.trouble, ...of.tracks.map((track) => track.gap?.from)].join();
      if (now === shown.current) return;
      shown.current = now;
      told.current(at);
      redraw((n) => n + 1);
    });
    made.speed(keptSpeed.value);
    setEngine(made);
    seekRef.current = (ms) => made.seek(ms);
    told.current(made.at);
    return () => {
      made.close();
      seekRef.current = null;
    };
  }, [times.clip_id, times.version]);

  useCommands("Player", [
    { keys: [" "], words: "Play or pause", run: () => engine?.toggle() },
    { keys: [","], words: "One picture back", run: () => engine?.step(-1) },
    { keys: ["."], words: "One picture on", run: () => engine?.step(1) },
    { keys: ["ArrowLeft"], words: "One second back", run: () => engine?.seek(engine.at - 1_000) },
    { keys: ["ArrowRight"], words: "One second on", run: () => engine?.seek(engine.at + 1_000) },
    { keys: ["["], words: "Slower", run: () => setSpeed(nextSpeed(keptSpeed.value, -1)) },
    { keys: ["]"], words: "Faster", run: () => setSpeed(nextSpeed(keptSpeed.value, 1)) },
    { keys: ["0"], words: "To the cause", run: () => engine?.seek(cause) },
  ]);

  const setSpeed = (to: number): void => {
    keptSpeed.value = to;
    engine?.speed(to);
  };

  const save = (): void => {
    const track = engine?.tracks[0];
    if (!engine || !track || track.drawn < 0) return;
    for (const one of engine.tracks) {
      const jpeg = one.loader.jpeg(one.drawn);
      if (!jpeg) continue;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(jpeg);
      const at = new Date(from + (one.ms[one.drawn] ?? 0)).toISOString().replaceAll(":", "-");
      link.download = `${at}_${clip.kind}_${one.name}.jpg`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }
    say("Saved: the camera's own picture, unchanged.");
  };

  const at = engine?.at ?? begin;
  const playing = engine?.clock.playing ?? false;
  const missing = whyNot("footage");
  if (missing) return <p class="dim pad">{missing}</p>;
  return (
    <div class="player" role="group" aria-label="Player">
      <div class={`screens n${Math.min(4, times.cameras.length)}`}>
        {times.cameras.map((camera, n) => {
          const track = engine?.tracks[n];
          const gap = track?.gap;
          return (
            <figure key={camera.camera}>
              <Screen engine={engine} track={n} label={`Camera ${camera.name} at ${tenths(from + at, zone.value)}`} />
              {gap && (
                <div class="screen-note">
                  <State mark="warn">no picture for {span(gap.to - gap.from)}</State>
                </div>
              )}
              {engine?.clock.held && !gap && <div class="screen-note">fetching pictures…</div>}
              <figcaption>
                {camera.name}
                {camera.left_out > 0 && ` · ${camera.left_out} more pictures are in the film`}
              </figcaption>
            </figure>
          );
        })}
      </div>
      {engine?.trouble && (
        <p class="trouble" role="status">
          {engine.trouble}
        </p>
      )}
      <Scrubber engine={engine} at={at} from={from} duration={duration} cause={cause} ticks={ticks} />
      <div class="controls">
        <button type="button" class="main icon-only" aria-label={playing ? "Pause" : "Play"} title={`${playing ? "Pause" : "Play"} (Space)`} onClick={() => engine?.toggle()}>
          <Icon of={playing ? "pause" : "play"} />
        </button>
        <button type="button" class="icon-only" aria-label="One picture back" title="One picture back ( , )" onClick={() => engine?.step(-1)}>
          <Icon of="back" />
        </button>
        <button type="button" class="icon-only" aria-label="One picture on" title="One picture on ( . )" onClick={() => engine?.step(1)}>
          <Icon of="next" />
        </button>
        <span class="place num" title={utc(from + at)}>
          <b data-place={Math.round(at)}>{tenths(from + at, zone.value)}</b>
          <span class="dim">{offset(at - cause)}</span>
        </span>
        <span class="grow" />
        <label class="speed">
          <span class="sr">Speed</span>
          <select value={keptSpeed.value} onChange={(event) => setSpeed(Number(event.currentTarget.value))}>
            {SPEEDS.map((of) => (
              <option key={of} value={of}>
                {of}×
              </option>
            ))}
          </select>
        </label>
        <Act class="icon-only" label="Save this picture" hint="Save this picture, as the camera made it" onClick={save}>
          <Icon of="still" />
        </Act>
        {times.cameras.map((camera) => (
          <a key={camera.camera} class="button" href={film(clip.clip_id, camera.camera)} download="" title={`Download the film of ${camera.name}`}>
            <Icon of="save" size={16} /> MP4{times.cameras.length > 1 && ` ${camera.name}`}
          </a>
        ))}
      </div>
    </div>
  );
}

/** Keeps its canvas as long as the engine: what is drawn stays drawn when something beside it changes. */
function Screen({ engine, track, label }: { engine: Engine | null; track: number; label: string }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    engine?.canvas(track, canvas.current);
    return () => engine?.canvas(track, null);
  }, [engine, track]);
  return <canvas ref={canvas} width={640} height={480} role="img" aria-label={label} onClick={() => engine?.toggle()} />;
}

interface ScrubberProps {
  engine: Engine | null;
  at: number;
  from: number;
  duration: number;
  cause: number;
  ticks: Tick[];
}

function Scrubber({ engine, at, from, duration, cause, ticks }: ScrubberProps): JSX.Element {
  const bar = useRef<HTMLDivElement>(null);
  const share = (ms: number): string => `${(Math.min(1, Math.max(0, ms / duration)) * 100).toFixed(3)}%`;
  const move = (event: PointerEvent): void => {
    const box = bar.current?.getBoundingClientRect();
    if (box) engine?.seek(((event.clientX - box.left) / box.width) * duration);
  };
  const steps: Record<string, () => void> = {
    ArrowLeft: () => engine?.seek(at - 1_000),
    ArrowRight: () => engine?.seek(at + 1_000),
    ArrowDown: () => engine?.seek(at - 1_000),
    ArrowUp: () => engine?.seek(at + 1_000),
    PageDown: () => engine?.seek(at - 10_000),
    PageUp: () => engine?.seek(at + 10_000),
    Home: () => engine?.seek(0),
    End: () => engine?.seek(duration),
  };
  return (
    <div
      ref={bar}
      class="scrubber"
      role="slider"
      tabIndex={0}
      aria-label="Place in the clip"
      aria-valuemin={0}
      aria-valuemax={Math.round(duration / 100) / 10}
      aria-valuenow={Math.round(at / 100) / 10}
      aria-valuetext={`${tenths(from + at, zone.value)}, ${offset(at - cause)} of the cause`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        move(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons & 1) move(event);
      }}
      onKeyDown={(event) => {
        const step = steps[event.key];
        if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        step();
      }}
    >
      <div class="track">
        <span class="done" style={{ width: share(at) }} />
        {engine?.tracks.map((track, n) =>
          track.gaps.map((gap) => (
            <span
              key={`${n} ${gap.from}`}
              class="gap"
              title={`${track.name}: no picture for ${span(gap.to - gap.from)}`}
              style={{ left: share(gap.from), width: share(gap.to - gap.from), top: `${(n / (engine.tracks.length || 1)) * 100}%`, height: `${100 / (engine.tracks.length || 1)}%` }}
            />
          )),
        )}
      </div>
      {ticks.map((tick) => (
        <span key={tick.key} class={`tick ${tick.strong ? "strong" : ""}`} style={{ left: share(tick.ms) }} title={`${tenths(from + tick.ms, zone.value)} ${tick.words}`} />
      ))}
      <span class="knob" style={{ left: share(at) }} />
    </div>
  );
}
