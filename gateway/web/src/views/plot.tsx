/** Bars by hour or by person. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../io/prefs";

export interface Series {
  name: string;
  values: number[];
  /** A variable of the style sheet. */
  colour: string;
}

interface Props {
  labels: string[];
  series: Series[];
  title: string;
}

const HEIGHT = 190;

/** Bars beside each other; the table with the same numbers is for those who cannot see them. */
export function Bars({ labels, series, title }: Props): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const shape = JSON.stringify([labels, series]);
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const style = getComputedStyle(box);
    const colour = (name: string): string => style.getPropertyValue(name).trim() || "#888";
    const { bars } = uPlot.paths;
    const wide = 0.8 / series.length;
    const font = `11px ${style.fontFamily}`;
    const at = labels.map((_, n) => n);
    const options: uPlot.Options = {
      width: box.clientWidth,
      height: HEIGHT,
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      legend: { show: true, live: true },
      scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
      axes: [
        {
          stroke: colour("--dim"),
          font,
          grid: { show: false },
          ticks: { show: false },
          // As many as fit.
          splits: () => {
            const widest = Math.max(...labels.map((label) => label.length)) * 6.6 + 14;
            const every = Math.max(1, Math.ceil((labels.length * widest) / Math.max(1, box.clientWidth - 50)));
            return at.filter((n) => n % every === 0);
          },
          values: (_, splits) => splits.map((n) => labels[n] ?? ""),
        },
        {
          stroke: colour("--dim"),
          font,
          size: 34,
          grid: { stroke: colour("--line"), width: 1 },
          ticks: { show: false },
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000],
        },
      ],
      series: [
        { value: (_, n) => labels[n] ?? "" },
        ...series.map((of, n) => ({
          label: of.name,
          stroke: colour(of.colour),
          fill: colour(of.colour),
          width: 0,
          points: { show: false },
          ...(bars ? { paths: shifted(bars, wide, n, series.length) } : {}),
          value: (_: uPlot, value: number | null) => (value === null ? "" : String(value)),
        })),
      ],
    };
    const plot = new uPlot(options, [at, ...series.map((of) => of.values)], box);
    const watch = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [shape, theme.value]);
  return (
    <figure class="plot">
      <div ref={place} aria-hidden="true" />
      <table class="sr">
        <caption>{title}</caption>
        <thead>
          <tr>
            <th />
            {series.map((of) => (
              <th key={of.name} scope="col">
                {of.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {labels.map((label, n) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              {series.map((of) => (
                <td key={of.name}>{of.values[n]}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

/** Bars of one series stand beside those of the others. */
function shifted(bars: NonNullable<typeof uPlot.paths.bars>, wide: number, n: number, all: number): uPlot.Series.PathBuilder {
  const disp: uPlot.Series.BarsPathBuilderOpts["disp"] = {
    x0: { unit: 1, values: (plot) => (plot.data[0] as number[]).map((at) => at - 0.4 + n * wide) },
    size: { unit: 1, values: (plot) => (plot.data[0] as number[]).map(() => wide * (all > 1 ? 0.9 : 1)) },
  };
  return bars({ disp, radius: 0.15 });
}
