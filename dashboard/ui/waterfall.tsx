/** A message's life as a waterfall: each row a bar at its time; the chosen one is shown beside it. */
import type { JSX } from "preact";
import { duration } from "../model/format.ts";
import type { Timeline } from "../model/timeline.ts";

export function Waterfall(props: {
  readonly timeline: Timeline;
  readonly chosen: string;
  readonly choose: (id: string) => void;
}): JSX.Element {
  const { timeline, chosen, choose } = props;
  const { rows, startAt, endAt } = timeline;
  const span = Math.max(endAt - startAt, 1);
  const at = (ms: number): number => ((ms - startAt) / span) * 100;
  const ticks = [0, 0.5, 1];
  return (
    <div class="waterfall">
      <div class="waterfall-scale" aria-hidden="true">
        {ticks.map((share) => (
          <span key={share} style={{ left: `${share * 100}%` }}>
            {duration(span * share)}
          </span>
        ))}
      </div>
      <ol>
        {rows.map((row) => (
          <li key={row.id}>
            <button
              type="button"
              data-row
              class={`life depth-${row.depth}`}
              aria-pressed={row.id === chosen}
              onClick={() => choose(row.id)}
            >
              <span class="life-name">
                <span class={`dot ${row.tone}`} /> <span class="cut">{row.label}</span>
              </span>{" "}
              <span class="life-note cut">{row.note}</span>{" "}
              <span class="life-track">
                {row.endAt === undefined ? (
                  <span class={`moment ${row.tone}`} style={{ left: `${at(row.at)}%` }} />
                ) : (
                  <span
                    class={`span ${row.tone}`}
                    style={{ left: `${at(row.at)}%`, width: `${Math.max(at(row.endAt) - at(row.at), 0)}%` }}
                  />
                )}
              </span>
              <span class="life-time number">
                {row.endAt === undefined ? `+${duration(row.at - startAt)}` : duration(row.endAt - row.at)}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}
