/** Frames of stacks in texts: they change with every line of a source and with the engine, and are left out of comparisons. */
const frame = /^\s*at .*(?::\d+:\d+\)?|\(native\))$/;

export function hasFrames(text: string): boolean {
  return text.split("\n").some((line) => frame.test(line));
}

export function withoutFrames(text: string): string {
  if (!/(?:^|\n)\s*at /.test(text)) return text;
  return text
    .split("\n")
    .filter((line) => !frame.test(line))
    .join("\n");
}

/** The value of a JSON text, without frames in its texts; the text itself where it is no JSON. `found` is called for each text with frames. */
export function valueWithoutFrames(json: string, found: () => void = () => undefined): unknown {
  try {
    return JSON.parse(json, (_name, value: unknown) => {
      if (typeof value !== "string" || !hasFrames(value)) return value;
      found();
      return withoutFrames(value);
    });
  } catch {
    return json;
  }
}
