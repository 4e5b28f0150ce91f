/** Turns places in a flow's bundle into places in its source, by the image's source map. */
import { SourceMap } from "node:module";
import { basename, isAbsolute, join, relative } from "node:path";

export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export interface Frame extends Place {
  readonly name: string;
}

/** Frames of the engine's stack text: `    at name (file:line:column)`. */
const frameShape = /^\s*at (?:(.*?) \()?(\S+?):(\d+):(\d+)\)?$/;

/** Functions without a name, and the ones a bundler wraps modules in, named by their path. */
function shownName(name: string | undefined): string {
  return name === undefined || /^<.*>$|\.[mc]?[jt]sx?$/.test(name) ? "" : name;
}

/** Maps stacks of one image. `folder`: where the flow lies, when it is known; else places are relative to it. */
export class StackMapper {
  readonly #map: SourceMap | undefined;
  readonly #folder: string | undefined;

  constructor(sourceMap: Uint8Array, folder?: string) {
    this.#folder = folder;
    try {
      if (sourceMap.length > 0) this.#map = new SourceMap(JSON.parse(Buffer.from(sourceMap).toString("utf8")));
    } catch {
      // An image whose map can't be read still runs; its stacks stay those of the bundle.
    }
  }

  /** The flow's own frames, innermost first; those of the kernel are left out. */
  frames(stack: string | undefined): Frame[] {
    const frames: Frame[] = [];
    for (const line of (stack ?? "").split("\n")) {
      const [, name, file, row, column] = frameShape.exec(line) ?? [];
      if (file === undefined || file.startsWith("mayfly:")) continue;
      const place = this.#original(file, Number(row), Number(column));
      if (place !== undefined) frames.push({ name: shownName(name), ...place });
    }
    return frames;
  }

  #original(file: string, line: number, column: number): Place | undefined {
    const entry = this.#map?.findEntry(line - 1, column - 1);
    if (entry === undefined || !("originalSource" in entry)) return this.#map === undefined ? { file, line, column } : undefined;
    const source = entry.originalSource;
    if (/(^|\/)kernel\/runtime\/|mayfly:/.test(source)) return undefined; // linked parts of the kernel
    return { file: this.#shown(source), line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  }

  #shown(source: string): string {
    if (this.#folder === undefined) return source;
    const full = isAbsolute(source) ? source : join(this.#folder, source);
    const near = relative(process.cwd(), full);
    return near.startsWith(join("..", "..", "..")) ? join(basename(this.#folder), source) : near;
  }
}

export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** `at helper (flows/orders.ts:3:14)`, one line for each frame; a recursion is one line with a count. */
export function framesText(frames: readonly Frame[]): string {
  const lines: { text: string; times: number }[] = [];
  for (const frame of frames) {
    const text = frame.name === "" ? `at ${placeText(frame)}` : `at ${frame.name} (${placeText(frame)})`;
    const last = lines.at(-1);
    if (last?.text === text) last.times += 1;
    else lines.push({ text, times: 1 });
  }
  return lines.map(({ text, times }) => (times === 1 ? text : `${text} ×${times}`)).join("\n");
}
