/** Turns places in a flow's bundle into places in its source, by the image's source map. */
import { SourceMap, type SourceMapping } from "node:module";
import { basename, isAbsolute, join, relative } from "node:path";
import type { LogEffect } from "#abi";
import type { Image } from "./file.ts";
import { imageLimits } from "./limits.ts";

/** A place in a flow's source. */
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

/** File name of the kernel's own functions. */
const kernelScript = "mayfly:";

/** Functions without a name, and the ones a bundler wraps modules in, named by their path. */
function shownName(name: string | undefined): string {
  return name === undefined || /^<.*>$|\.[mc]?[jt]sx?$/.test(name) ? "" : name;
}

/** The mapping that covers a place of the bundle, or the next one on its line: the map's own answer may be the end of another line. */
function entryAt(map: SourceMap, line: number, column: number): SourceMapping | undefined {
  for (let at = column; at < column + imageLimits.columnsOff; at++) {
    const entry = map.findEntry(line, at);
    if ("originalSource" in entry && entry.generatedLine === line) return entry;
  }
  const entry = map.findEntry(line, column);
  return "originalSource" in entry ? entry : undefined;
}

/** A line of a text: a frame of the flow, one that is left out, or anything else. */
type Line = Frame | "left out" | undefined;

/**
 * Shows places of one image's bundle in its sources. `folder`: where the flow lies, when it is known; else places are relative to it.
 * `script`: the bundle's name in stacks; without it every frame is taken for one of the bundle.
 */
export class StackMapper {
  #map: SourceMap | undefined;
  #sourceMap: (() => Uint8Array | undefined) | undefined;
  readonly #folder: string | undefined;
  readonly #script: string | undefined;

  /** `sourceMap` is asked for when the first place is mapped. */
  constructor(sourceMap: () => Uint8Array | undefined, folder?: string, script?: string) {
    this.#sourceMap = sourceMap;
    this.#folder = folder;
    this.#script = script;
  }

  static of(image: Image, folder: string | undefined): StackMapper {
    return new StackMapper(() => image.sourceMap, folder, `${image.manifest.name}.js`);
  }

  #readMap(): SourceMap | undefined {
    const read = this.#sourceMap;
    this.#sourceMap = undefined;
    try {
      const bytes = read?.();
      if (bytes !== undefined && bytes.length > 0) this.#map = new SourceMap(JSON.parse(Buffer.from(bytes).toString("utf8")));
    } catch {
      // An image whose map can't be read still runs; its stacks stay those of the bundle.
    }
    return this.#map;
  }

  /** The flow's own frames, innermost first; those of the kernel are left out. */
  frames(stack: string | undefined): Frame[] {
    return (stack ?? "").split("\n").flatMap((line) => {
      const found = this.#line(line);
      return typeof found === "object" ? [found] : [];
    });
  }

  stack(stack: string): string {
    return this.#text(stack)
      .replace(/^ +(?=at )/gm, "")
      .trimEnd();
  }

  log(effect: LogEffect): LogEffect {
    const { text, fieldsJson } = effect;
    const inText = this.#mentionsFrames(text);
    const inFields = fieldsJson !== undefined && this.#mentionsFrames(fieldsJson);
    if (!inText && !inFields) return effect;
    return { ...effect, text: inText ? this.#text(text) : text, fieldsJson: inFields ? this.#json(fieldsJson) : fieldsJson };
  }

  #mentionsFrames(text: string): boolean {
    return text.includes(kernelScript) || text.includes(`${this.#script ?? ""}:`);
  }

  #json(json: string): string {
    try {
      return JSON.stringify(JSON.parse(json, (_name, value: unknown) => (typeof value === "string" ? this.#text(value) : value)));
    } catch {
      return json; // a machine may say anything
    }
  }

  /** The text with the frames in it mapped; everything else in it stays. */
  #text(text: string): string {
    const lines: { text: string; times: number }[] = [];
    for (const line of text.split("\n")) {
      const found = this.#line(line);
      if (found === "left out") continue;
      const shown = found === undefined ? line : `${/^\s*/.exec(line)?.[0] ?? ""}${frameText(found)}`;
      const last = lines.at(-1);
      if (found !== undefined && last?.text === shown) last.times += 1;
      else lines.push({ text: shown, times: 1 });
    }
    return lines.map(timesText).join("\n");
  }

  #line(line: string): Line {
    const [, name, file, row, column] = frameShape.exec(line) ?? [];
    if (file === undefined) return undefined;
    if (file.startsWith(kernelScript)) return "left out";
    if (this.#script !== undefined && file !== this.#script) return undefined;
    const place = this.#original(file, Number(row), Number(column));
    return place === undefined ? "left out" : { name: shownName(name), ...place };
  }

  #original(file: string, line: number, column: number): Place | undefined {
    const map = this.#readMap();
    const entry = map === undefined ? undefined : entryAt(map, line - 1, column - 1);
    if (entry === undefined) return map === undefined ? { file, line, column } : undefined;
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

function frameText(frame: Frame): string {
  return frame.name === "" ? `at ${placeText(frame)}` : `at ${frame.name} (${placeText(frame)})`;
}

/** A recursion is one line with a count. */
function timesText({ text, times }: { readonly text: string; readonly times: number }): string {
  return times === 1 ? text : `${text} ×${times}`;
}

/** `at helper (flows/orders.ts:3:14)`, one line for each frame. */
export function framesText(frames: readonly Frame[]): string {
  return frames.map(frameText).join("\n");
}
