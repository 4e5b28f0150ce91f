/** A chart over time, by uPlot. Colours are those of the theme. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Cell, Past } from "../model/types.ts";
import { colour, theme } from "../theme.ts";

export interface Series {
  readonly name: string;
  /** Name of a colour of the theme. */
  readonly tone: string;
  readonly values: readonly Cell[];
  /** True: the area below is filled. */
  readonly filled?: boolean;
}

const height = 132;

/** Seconds since 1970 of the columns, the newest last. */
function times({ endMs, stepMs }: Past, length: number): number[] {
  return Array.from({ length }, (_, index) => Math.round((endMs - (length - 1 - index) * stepMs) / 1000));
}

function optionsOf(series: readonly Series[], width: number, show: (value: number) => string): UPlot.Options {
  const axis = {
    stroke: colour("muted"),
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(most * 1.15, 1)] } },
    axes: [
      { ...axis, size: 24, space: 80, values: (_plot, ticks) => ticks.map((tick) => clock(tick)) },
      { ...axis, size: 52, space: 32, values: (_plot, ticks) => ticks.map(show) },
    ],
    series: [
      {},
      ...series.map(
        (each): UPlot.Series => ({
          label: each.name,
          stroke: colour(each.tone),
          width: 1.5,
          points: { show: false },
          spanGaps: false,
          ...(each.filled === true ? { fill: `${colour(each.tone)}26` } : {}),
        }),
      ),
    ],
  };
}

function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}${at.getSeconds() === 0 ? "" : `:${String(at.getSeconds()).padStart(2, "0")}`}`;
}

export function Chart(props: {
  readonly title: string;
  readonly past: Past | undefined;
  readonly series: readonly Series[];
  readonly show: (value: number) => string;
}): JSX.Element {
  const { title, past, series, show } = props;
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const dark = theme.value;
  const tones = series.map(({ tone }) => tone).join();
  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const made = new UPlot(optionsOf(series, Math.max(element.clientWidth, 100), show), [[]], element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: Math.max(element.clientWidth, 100), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [dark, tones]);
  useEffect(() => {
    if (past === undefined) return;
    const columns = series.map(({ values }) => [...values]);
    plot.current?.setData([times(past, columns[0]?.length ?? 0), ...columns] as UPlot.AlignedData);
  }, [past, dark, tones]);
  const newest = series.map(({ name, values }) => `${name} ${show(values.at(-1) ?? 0)}`).join(", ");
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        {series.map(({ name, tone, values }) => (
          <span key={name} class="legend">
            <span class={`swatch tone-${tone}`} />
            {name} <b>{values.at(-1) === null || values.length === 0 ? "–" : show(values.at(-1) ?? 0)}</b>
          </span>
        ))}
      </figcaption>
      <div ref={frame} class="chart-frame" role="img" aria-label={`${title} over the last minutes: ${newest}`} />
    </figure>
  );
}
