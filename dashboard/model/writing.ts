/** A function that is being written in the page. Pure. */
export interface Draft {
  readonly name: string;
  readonly code: string;
  readonly fragment: string;
  readonly body: string;
  readonly contentType: string;
}

export const firstDraft: Draft = {
  name: "hello",
  code: `import { flow } from "mayfly";

export default flow((msg, { log }) => {
  const { name = "stranger" } = msg.json<{ name?: string }>();
  log.info("greeted", { name });
  return { text: \`hello \${name}\` };
});
`,
  fragment: "",
  body: '{ "name": "Ada" }',
  contentType: "application/json",
};

/** The draft that a tab has kept; the first one where it has none, or a damaged one. */
export function readDraft(json: string | null): Draft {
  try {
    const kept: unknown = JSON.parse(json ?? "");
    if (typeof kept !== "object" || kept === null) return firstDraft;
    const texts = Object.entries(firstDraft).map(([key, first]) => {
      const value = (kept as Readonly<Record<string, unknown>>)[key];
      return [key, typeof value === "string" ? value : first];
    });
    return Object.fromEntries(texts) as unknown as Draft;
  } catch {
    return firstDraft;
  }
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The first place in the flow that a refusal names: `hello.ts:3:5`, `hello.ts(3,5)`. */
export function placeIn(message: string, name: string): Place | undefined {
  const at = message.indexOf(`${name}.ts`);
  if (at < 0) return undefined;
  const [, line, column] = /^(?::|\()(\d+)[:,](\d+)/.exec(message.slice(at + name.length + 3)) ?? [];
  return line === undefined || column === undefined ? undefined : { line: Number(line), column: Number(column) };
}
