/** A body as what it is, with a choice of the other ways to look at it. Everything shown is text of somebody else. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Content, contentOf, csvRows, hexLines, type Kind, xmlLines } from "../model/body.ts";
import { bytes, count } from "../model/format.ts";
import { limits } from "../model/limits.ts";
import type { Body, Headers } from "../model/types.ts";
import { JsonTree } from "./json-tree.tsx";

const names: Readonly<Record<Kind, string>> = {
  json: "JSON",
  xml: "XML",
  csv: "Table",
  text: "Text",
  hex: "Hex",
  empty: "Empty",
  omitted: "Omitted",
};

function ways({ kind, text }: Content): readonly Kind[] {
  if (kind === "empty" || kind === "omitted") return [];
  const own = kind === "text" || kind === "hex" ? [] : [kind];
  return [...own, ...(text === undefined ? [] : (["text"] as const)), "hex"];
}

export function BodyView(props: { readonly body: Body; readonly contentType: string; readonly title: string }): JSX.Element {
  const { body, contentType, title } = props;
  const content = contentOf(body, contentType);
  const [way, setWay] = useState<Kind | undefined>(undefined);
  const offered = ways(content);
  const shown = way !== undefined && offered.includes(way) ? way : content.kind;
  return (
    <section class="body-view">
      <header class="body-head">
        <h3>{title}</h3>
        <span class="muted">
          {contentType === "" ? "" : `${contentType} · `}
          {"omitted" in body ? `${bytes(body.omitted)}, not recorded` : bytes(content.bytes.length)}
        </span>
        {offered.length < 2 ? null : (
          <span class="tabs" role="group" aria-label={`${title}: view as`}>
            {offered.map((each) => (
              <button key={each} type="button" class="tab" aria-pressed={each === shown} onClick={() => setWay(each)}>
                {names[each]}
              </button>
            ))}
          </span>
        )}
      </header>
      <div class="body-content" tabIndex={0} role="group" aria-label={`${title}: content`}>
        <Shown content={content} kind={shown} />
      </div>
    </section>
  );
}

function Shown({ content, kind }: { readonly content: Content; readonly kind: Kind }): JSX.Element {
  const { text = "", bytes: all, value } = content;
  switch (kind) {
    case "json":
      return <JsonTree value={value} />;
    case "xml":
      return <Xml text={text} />;
    case "csv":
      return <Csv text={text} />;
    case "hex":
      return (
        <pre>
          {hexLines(all).join("\n")}
          {all.length > limits.dumpBytes ? `\n… ${count(all.length - limits.dumpBytes)} more bytes` : ""}
        </pre>
      );
    case "empty":
      return <p class="muted">No body.</p>;
    case "omitted":
      return <p class="muted">The body was not recorded (history.bodies).</p>;
    case "text":
      return <Text text={text} />;
  }
}

function Text({ text }: { readonly text: string }): JSX.Element {
  const lines = text.split("\n");
  const rest = lines.length - limits.lines;
  return (
    <pre>
      {lines.slice(0, limits.lines).join("\n")}
      {rest > 0 ? `\n… ${count(rest)} more lines` : ""}
    </pre>
  );
}

function Xml({ text }: { readonly text: string }): JSX.Element {
  return (
    <pre class="xml">
      {xmlLines(text).map(({ depth, kind, text: line }, index) => (
        <span key={index} class={`xml-${kind}`}>
          {`${"  ".repeat(depth)}${line}\n`}
        </span>
      ))}
    </pre>
  );
}

function Csv({ text }: { readonly text: string }): JSX.Element {
  const [head = [], ...rows] = csvRows(text);
  return (
    <table class="cells">
      <thead>
        <tr>
          {head.map((cell, index) => (
            <th key={index}>{cell}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <tr key={index}>
            {row.map((cell, at) => (
              <td key={at}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function HeaderList({ headers }: { readonly headers: Headers }): JSX.Element {
  const all = Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((each) => [name, each] as const),
  );
  if (all.length === 0) return <p class="muted">No headers.</p>;
  return (
    <dl class="pairs">
      {all.map(([name, value], index) => (
        <div key={index}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
