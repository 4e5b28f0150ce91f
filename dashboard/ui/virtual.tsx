/** A table of very many rows: only those in sight are in the page. All rows are of one height. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useMover } from "../keys.ts";

export const rowHeight = 34;
const beyond = 12;

export interface VirtualProps<T> {
  readonly label: string;
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly head: ComponentChildren;
  readonly row: (row: T) => ComponentChildren;
  readonly hrefOf: (row: T) => string;
  /** Called when the end comes into sight. */
  readonly onEnd?: () => void;
  readonly onTop?: (isTop: boolean) => void;
  readonly foot?: ComponentChildren;
}

export function Virtual<T>(props: VirtualProps<T>): JSX.Element {
  const { rows } = props;
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const current = useRef({ rows, chosen });
  current.current = { rows, chosen };
  useLayoutEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(
    () =>
      useMover({
        move: (by) => {
          const { rows: all, chosen: before } = current.current;
          const at = all.findIndex((row) => props.keyOf(row) === before);
          const index = Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by));
          const next = all[index];
          if (next === undefined) return;
          setChosen(props.keyOf(next));
          show(frame.current, index);
        },
        open: () => {
          const row = current.current.rows.find((each) => props.keyOf(each) === current.current.chosen);
          if (row !== undefined) location.hash = props.hrefOf(row);
        },
      }),
    [],
  );
  const first = Math.max(Math.floor(top / rowHeight) - beyond, 0);
  const last = Math.min(Math.ceil((top + height) / rowHeight) + beyond, rows.length);
  useEffect(() => {
    if (last >= rows.length - beyond) props.onEnd?.();
  }, [last, rows.length]);
  const scrolled = (event: Event): void => {
    const { scrollTop } = event.currentTarget as HTMLDivElement;
    setTop(scrollTop);
    props.onTop?.(scrollTop < rowHeight);
  };
  return (
    <div class="virtual" ref={frame} onScroll={scrolled} tabIndex={0} role="region" aria-label={props.label}>
      <div role="table" aria-label={props.label} aria-rowcount={rows.length + 1}>
        <div role="rowgroup" class="virtual-head">
          <div role="row" class="virtual-row">
            {props.head}
          </div>
        </div>
        <div role="rowgroup" class="virtual-body" style={{ height: `${rows.length * rowHeight}px` }}>
          {rows.slice(first, last).map((row, index) => {
            const key = props.keyOf(row);
            return (
              <div
                key={key}
                role="row"
                aria-rowindex={first + index + 2}
                class={`virtual-row ${key === chosen ? "chosen" : ""}`}
                style={{ transform: `translateY(${(first + index) * rowHeight}px)` }}
              >
                {props.row(row)}
              </div>
            );
          })}
        </div>
      </div>
      {props.foot}
    </div>
  );
}

/** The head stays in sight, above the first row. */
function show(element: HTMLDivElement | null, index: number): void {
  if (element === null) return;
  const at = index * rowHeight;
  if (at < element.scrollTop) element.scrollTop = at;
  else if (at + 2 * rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = at + 2 * rowHeight - element.clientHeight;
}
