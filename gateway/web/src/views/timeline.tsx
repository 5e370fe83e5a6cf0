/** A day on lanes, drawn on a canvas: five thousand events are as quick as fifty. */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { busyPart, nearest, shift, within, zoom, type Mark, type Part } from "../core/lanes";
import { ticks } from "../core/strip";
import { clock, minutes } from "../core/time";
import { go } from "../io/router";
import { parse } from "../core/route";
import { theme } from "../io/prefs";

export interface Lane {
  key: string;
  name: string;
}

interface Props {
  lanes: Lane[];
  marks: Mark[];
  whole: Part;
  zone: string;
  label: string;
}

const LANE_PX = 34;
const AXIS_PX = 24;
const REACH_PX = 8;

export function Timeline({ lanes, marks, whole, zone, label }: Props): JSX.Element {
  const [part, setPart] = useState<Part>(() => busyPart(marks, whole));
  const [touched, setTouched] = useState(false);
  const [hover, setHover] = useState<{ mark: Mark; x: number; y: number } | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(800);
  const height = lanes.length * LANE_PX + AXIS_PX;

  // Until somebody looks closer, the part follows the day.
  useEffect(() => {
    if (!touched) setPart(busyPart(marks, whole));
  }, [marks, whole.from, whole.to]);
  const look = (to: Part): void => {
    setTouched(true);
    setHover(null);
    setPart(to);
  };

  useEffect(() => {
    const of = canvas.current?.parentElement;
    if (!of) return;
    const watch = new ResizeObserver(() => setWidth(of.clientWidth));
    watch.observe(of);
    setWidth(of.clientWidth);
    return () => watch.disconnect();
  }, []);

  const scheme = useColours();
  const seen = useMemo(() => marks.filter((mark) => mark.to >= part.from && mark.from <= part.to), [marks, part]);
  useEffect(() => {
    const of = canvas.current;
    if (of) draw(of, { lanes, marks: seen, part, zone, width, height, drag });
  }, [seen, part, width, drag, scheme, zone]);

  const timeAt = (x: number): number => part.from + (x / width) * (part.to - part.from);
  const place = (event: { clientX: number; clientY: number }): { x: number; y: number } => {
    const box = canvas.current?.getBoundingClientRect();
    return { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
  };
  const markAt = (x: number, y: number): Mark | null => {
    const lane = lanes[Math.floor(y / LANE_PX)];
    return lane ? nearest(seen, lane.key, timeAt(x), (REACH_PX / width) * (part.to - part.from)) : null;
  };
  const middle = (part.from + part.to) / 2;
  const whole_ = part.from <= whole.from && part.to >= whole.to;

  return (
    <div class="timeline" role="group" aria-label={label}>
      <div class="row between wrap">
        <span class="num small dim">
          {clock(part.from, zone)} – {clock(Math.min(part.to, whole.to - 1), zone)}
        </span>
        <span class="row wrap">
          <button type="button" class="small" onClick={() => look(shift(part, -0.5, whole))} disabled={part.from <= whole.from}>
            ← Earlier
          </button>
          <button type="button" class="small" onClick={() => look(shift(part, 0.5, whole))} disabled={part.to >= whole.to}>
            Later →
          </button>
          <button type="button" class="small" onClick={() => look(zoom(part, 0.5, middle, whole))}>
            Closer
          </button>
          <button type="button" class="small" onClick={() => look(zoom(part, 2, middle, whole))} disabled={whole_}>
            Farther
          </button>
          <button type="button" class="small" onClick={() => look(whole)} disabled={whole_}>
            Whole day
          </button>
        </span>
      </div>
      <div class="timeline-body">
        <div class="lane-names" aria-hidden="true">
          {lanes.map((lane) => (
            <span key={lane.key}>{lane.name}</span>
          ))}
        </div>
        <div class="lane-canvas">
          <canvas
            ref={canvas}
            role="img"
            aria-label={`${label}. ${lanes.map((lane) => `${lane.name}: ${seen.filter((mark) => mark.lane === lane.key).length}`).join(", ")}. The lists below have the same in words.`}
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              const { x } = place(event);
              setDrag({ from: x, to: x });
            }}
            onPointerMove={(event) => {
              const { x, y } = place(event);
              if (drag) setDrag({ ...drag, to: x });
              const mark = markAt(x, y);
              setHover(mark ? { mark, x, y } : null);
            }}
            onPointerLeave={() => setHover(null)}
            onPointerUp={(event) => {
              const { x, y } = place(event);
              const from = drag?.from ?? x;
              setDrag(null);
              if (Math.abs(x - from) > 6) {
                look(within({ from: timeAt(Math.min(from, x)), to: timeAt(Math.max(from, x)) }, whole));
                return;
              }
              const link = markAt(x, y)?.link;
              if (link) {
                const to = parse(link.split("?")[0] ?? "", link.split("?")[1] ?? "");
                go(to.view, to.id, to.query);
              }
            }}
            onWheel={(event) => {
              if (!event.ctrlKey) return;
              event.preventDefault();
              look(zoom(part, event.deltaY > 0 ? 1.25 : 0.8, timeAt(place(event).x), whole));
            }}
          />
          {hover && (
            <div class="hover-note" style={{ left: `${Math.min(width - 10, Math.max(10, hover.x))}px`, top: `${Math.floor(hover.y / LANE_PX) * LANE_PX}px` }}>
              <span class="num">{clock(hover.mark.from, zone)}</span> {hover.mark.words}
            </div>
          )}
        </div>
      </div>
    </div>
  );
}

/** Changes when the colours do. */
function useColours(): string {
  const [n, setN] = useState(0);
  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const change = (): void => setN((old) => old + 1);
    media.addEventListener("change", change);
    return () => media.removeEventListener("change", change);
  }, []);
  return `${theme.value} ${n}`;
}

interface Drawing {
  lanes: Lane[];
  marks: Mark[];
  part: Part;
  zone: string;
  width: number;
  height: number;
  drag: { from: number; to: number } | null;
}

function draw(canvas: HTMLCanvasElement, of: Drawing): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(of.width * ratio);
  canvas.height = Math.round(of.height * ratio);
  canvas.style.height = `${of.height}px`;
  const context = canvas.getContext("2d");
  if (!context) return;
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name).trim() || "#888";
  context.scale(ratio, ratio);
  const x = (at: number): number => ((at - of.part.from) / (of.part.to - of.part.from)) * of.width;
  const bottom = of.lanes.length * LANE_PX;
  context.font = `11px ${style.fontFamily}`;
  context.textAlign = "center";
  for (const at of ticks(of.part.from, of.part.to, Math.max(3, Math.floor(of.width / 90)))) {
    context.fillStyle = colour("--line");
    context.fillRect(Math.round(x(at)), 0, 1, bottom);
    context.fillStyle = colour("--dim");
    const short = of.part.to - of.part.from < 600_000;
    const words = short ? clock(at, of.zone) : minutes(at, of.zone);
    if (x(at) > 24 && x(at) < of.width - 24) context.fillText(words, x(at), bottom + 16);
  }
  of.lanes.forEach((lane, n) => {
    const top = n * LANE_PX;
    context.fillStyle = colour("--line");
    context.fillRect(0, top + LANE_PX - 1, of.width, 1);
    for (const mark of of.marks) {
      if (mark.lane !== lane.key) continue;
      const left = x(mark.from);
      const wide = Math.max(mark.to > mark.from ? 2 : 1.5, x(mark.to) - left);
      context.fillStyle = mark.strong ? colour("--bad") : lane.key === "motion" ? colour("--line-2") : colour("--accent");
      if (lane.key === "alerts") {
        const size = mark.strong ? 6 : 4.5;
        context.beginPath();
        context.moveTo(left, top + LANE_PX / 2 - size);
        context.lineTo(left + size, top + LANE_PX / 2 + size * 0.8);
        context.lineTo(left - size, top + LANE_PX / 2 + size * 0.8);
        context.closePath();
        context.fill();
      } else {
        context.fillRect(left, top + 8, wide, LANE_PX - 17);
      }
    }
  });
  if (of.drag) {
    context.globalAlpha = 0.15;
    context.fillStyle = colour("--accent");
    context.fillRect(Math.min(of.drag.from, of.drag.to), 0, Math.abs(of.drag.to - of.drag.from), bottom);
    context.globalAlpha = 1;
  }
}
