/** A JSON value as a tree whose branches open and close; long ones show their beginning. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { count } from "../model/format.ts";
import { limits } from "../model/limits.ts";

export function JsonTree({ value }: { readonly value: unknown }): JSX.Element {
  return (
    <div class="json">
      <Node value={value} name={undefined} depth={0} />
    </div>
  );
}

function Leaf({ value }: { readonly value: unknown }): JSX.Element {
  if (typeof value === "string") return <span class="json-text">{JSON.stringify(value)}</span>;
  if (typeof value === "number") return <span class="json-number">{String(value)}</span>;
  return <span class="json-word">{String(value)}</span>;
}

function Name({ name }: { readonly name: string | undefined }): JSX.Element | null {
  return name === undefined ? null : <span class="json-name">{name}: </span>;
}

function Node(props: { readonly value: unknown; readonly name: string | undefined; readonly depth: number }): JSX.Element {
  const { value, name, depth } = props;
  const [open, setOpen] = useState(depth < limits.openDepth);
  const [shown, setShown] = useState<number>(limits.members);
  if (typeof value !== "object" || value === null)
    return (
      <div class="json-line">
        <Name name={name} />
        <Leaf value={value} />
      </div>
    );
  const list = Array.isArray(value);
  const members = list ? (value as unknown[]).map((each, index) => [String(index), each] as const) : Object.entries(value);
  const [begin, end] = list ? ["[", "]"] : ["{", "}"];
  if (members.length === 0)
    return (
      <div class="json-line">
        <Name name={name} />
        {begin}
        {end}
      </div>
    );
  const size = list ? `${count(members.length)} items` : `${count(members.length)} members`;
  return (
    <div>
      <button type="button" class="json-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="json-mark" aria-hidden="true">
          {open ? "▾" : "▸"}
        </span>
        <Name name={name} />
        {open ? begin : `${begin} ${size} ${end}`}
      </button>
      {open ? (
        <div class="json-members">
          {members.slice(0, shown).map(([key, each]) => (
            <Node key={key} name={list ? key : JSON.stringify(key)} value={each} depth={depth + 1} />
          ))}
          {members.length > shown ? (
            <button type="button" class="json-more" onClick={() => setShown(shown + limits.members)}>
              {count(members.length - shown)} more
            </button>
          ) : null}
        </div>
      ) : null}
      {open ? <div class="json-line">{end}</div> : null}
    </div>
  );
}
