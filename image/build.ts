/** flow.ts → bundle → boot once → freeze → image. */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { abiVersion, defaultFlowLimits, type FlowLimits, hardLimits } from "#abi";
import { CodedError, readDuration, readSize } from "#base";
import { kernelArtifacts, layout, tabledLocales } from "#kernel";
import { bootMachine, measureWarm, type WarmTimes } from "./boot.ts";
import { type Bundle, bundleFlow } from "./bundle.ts";
import { checkTypes } from "./check.ts";
import { type Image, writeImage } from "./file.ts";
import { freezePages } from "./freeze.ts";

export interface BuildOptions {
  /** The image's name; the flow's file name without its ending by default. */
  readonly name?: string;
  /** False skips the type check. */
  readonly check?: boolean;
  /** Folders the build may read besides the flow's project, absolute. */
  readonly include?: readonly string[] | undefined;
  /** Files by strangers, absolute: they may import "mayfly" and its parts, and the modules of Node that a machine has, and nothing else. */
  readonly alone?: readonly string[] | undefined;
}

export interface Built {
  readonly image: Image;
  readonly bundle: Bundle;
  /** Every source file the image depends on, absolute: watch these. */
  readonly inputs: readonly string[];
  /** Milliseconds each part took. Type check and bundling run side by side. */
  readonly timings: { readonly bundleMs: number; readonly checkMs: number; readonly bootMs: number; readonly freezeMs: number };
  /** Times of a flow's `warm`; undefined for a flow without. */
  readonly warm: WarmTimes | undefined;
}

interface FlowOptions {
  readonly outlets?: unknown;
  readonly limits?: unknown;
  readonly batch?: unknown;
  readonly locales?: unknown;
}

/** Outlets of `flow<"a" | "b">(…)`, read from the flow's own text: types do not survive bundling. */
export function outletsInTypes(source: string): readonly string[] | null {
  const match = /\bflow\s*<([^>(]*)>\s*\(/.exec(source);
  if (match === null) return null;
  let union = (match[1] ?? "").trim();
  if (/^[A-Za-z_$][\w$]*$/.test(union)) union = new RegExp(`\\btype\\s+${union}\\s*=([^;]*)`).exec(source)?.[1]?.trim() ?? union;
  if (union === "never") return [];
  const names = union
    .replace(/^\|/, "")
    .split("|")
    .map((part) => /^\s*(["'])([^"']+)\1\s*$/.exec(part)?.[2]);
  return names.every((name) => name !== undefined) ? names : null;
}

function readLimits(given: unknown): FlowLimits {
  if (given === undefined) return defaultFlowLimits;
  if (typeof given !== "object" || given === null)
    throw new CodedError("MF_FLOW_INVALID", 'flow({ limits }) must be an object such as { memory: "16MiB", cpu: "500ms", time: "30s" }');
  const limits = given as Readonly<Record<string, unknown>>;
  const known = ["memory", "cpu", "time", "sends", "logBytes"];
  for (const name of Object.keys(limits))
    if (!known.includes(name)) throw new CodedError("MF_FLOW_INVALID", `flow({ limits }) has no "${name}"; known are ${known.join(", ")}`);
  const read = (name: string, parse: (value: unknown) => number | undefined, otherwise: number): number => {
    const value = limits[name];
    const parsed = value === undefined ? otherwise : parse(value);
    if (parsed === undefined || parsed <= 0)
      throw new CodedError(
        "MF_FLOW_INVALID",
        `limits.${name} is not a ${parse === readSize ? "size such as 16MiB" : "duration such as 500ms"}: ${String(value)}`,
      );
    return parsed;
  };
  const memoryBytes = read("memory", readSize, defaultFlowLimits.memoryBytes);
  if (memoryBytes > hardLimits.memoryBytes)
    throw new CodedError("MF_FLOW_INVALID", `limits.memory exceeds the maximum of a machine, ${hardLimits.memoryBytes / 1024 ** 2} MiB`);
  return {
    memoryBytes,
    cpuMs: read("cpu", readDuration, defaultFlowLimits.cpuMs),
    timeMs: read("time", readDuration, defaultFlowLimits.timeMs),
    sends: read("sends", readSize, defaultFlowLimits.sends),
    logBytes: read("logBytes", readSize, defaultFlowLimits.logBytes),
  };
}

function readOutlets(options: FlowOptions, source: string): readonly string[] | null {
  if (options.outlets === undefined) return outletsInTypes(source);
  if (
    !Array.isArray(options.outlets) ||
    !options.outlets.every((name) => typeof name === "string" && name.length > 0 && name.length <= hardLimits.nameBytes)
  )
    throw new CodedError("MF_FLOW_INVALID", 'flow({ outlets }) must be a list of names such as ["erp", "audit"]');
  return options.outlets as string[];
}

/** Throws MF_FLOW_INVALID for locales that are not there, or that the build did not find in the text. */
function checkLocales(given: unknown, { sources }: Bundle): void {
  if (given === undefined) return;
  if (!Array.isArray(given) || !given.every((each): each is string => typeof each === "string"))
    throw new CodedError("MF_FLOW_INVALID", 'flow({ locales }) must be a list of texts such as ["nl", "fr-BE"]');
  const isLinked = (tag: string): boolean => sources.some(({ path }) => path === `mayfly:intl/locales/${tag}`);
  for (const tag of given) {
    const [language = ""] = tag.split("-");
    if (language === "en" && !tabledLocales.includes(tag)) continue;
    if (isLinked(tag) || (isLinked(language) && !tabledLocales.includes(tag))) continue;
    const isKnown = tabledLocales.includes(tag) || tabledLocales.includes(language);
    throw new CodedError(
      "MF_FLOW_INVALID",
      isKnown
        ? `flow({ locales }): the build did not find ${tag}: write the list as texts in the call of flow, before options with functions, or import "mayfly/locales/${tabledLocales.includes(tag) ? tag : language}"`
        : `flow({ locales }) has no ${JSON.stringify(tag)}: there are ${tabledLocales.join(", ")}`,
    );
  }
}

/** Of the nearest package.json. */
export function packageVersion(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, "package.json");
    if (existsSync(file)) {
      try {
        const { version } = JSON.parse(readFileSync(file, "utf8")) as { version?: unknown };
        return typeof version === "string" ? version : "0.0.0";
      } catch {
        return "0.0.0";
      }
    }
    if (dirname(at) === at) return "0.0.0";
  }
}

function timed<T>(task: Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const started = performance.now();
  return task.then((value) => ({ value, ms: performance.now() - started }));
}

/** Boots a bundle and freezes what it leaves. The same bundle gives the same bytes. */
export function imageOfBundle(
  bundle: Bundle,
  source: string,
  name: string,
  version: string,
): { readonly image: Image; readonly bootMs: number; readonly freezeMs: number; readonly warm: WarmTimes | undefined } {
  const artifacts = kernelArtifacts();
  const flow = { bundle: bundle.script, name: `${name}.js`, outlets: outletsInTypes(source) };
  const started = performance.now();
  const machine = bootMachine(artifacts, flow);
  const booted = performance.now();
  const options = JSON.parse(machine.optionsJson) as FlowOptions;
  checkLocales(options.locales, bundle);
  const frozen = freezePages(machine.memory);
  const image = writeImage({
    manifest: {
      name,
      version,
      abi: abiVersion,
      kernel: artifacts.hash,
      engine: artifacts.engineVersion,
      outlets: readOutlets(options, source),
      limits: readLimits(options.limits),
      ...(options.batch !== undefined ? { reads: "batch" } : bundle.streams === true ? { reads: "stream" } : {}),
      memoryPages: machine.memory.length / layout.wasmPageBytes,
      stackPointer: machine.stackPointer,
      sources: bundle.sources,
    },
    ...frozen,
    sourceMap: bundle.sourceMap,
  });
  const freezeMs = performance.now() - booted;
  return { image, bootMs: booted - started, freezeMs, warm: machine.isWarm ? measureWarm(artifacts, flow) : undefined };
}

/** Builds the flow at `path`. Throws MF_FLOW_NOT_FOUND, MF_BUNDLE_FAILED, MF_BUNDLE_OUTSIDE, MF_TYPE_ERROR, MF_FLOW_TOP_LEVEL, MF_FLOW_INVALID, MF_WARM_FAILED, MF_WARM_PENDING. */
export async function buildImage(path: string, options: BuildOptions = {}): Promise<Built> {
  const bundling = timed(bundleFlow(path, options.include, options));
  const checking = timed(options.check === false ? Promise.resolve() : checkTypes(path, options.include));
  const [bundled, checked] = await Promise.allSettled([bundling, checking]);
  if (bundled.status === "rejected") throw bundled.reason;
  if (checked.status === "rejected") throw checked.reason;
  const { value: bundle, ms: bundleMs } = bundled.value;
  const name = options.name ?? basename(path).replace(/\.[^.]+$/, "");
  const source = readFileSync(path, "utf8");
  const { image, bootMs, freezeMs, warm } = imageOfBundle(bundle, source, name, packageVersion(dirname(resolve(path))));
  return { image, bundle, inputs: bundle.inputs, timings: { bundleMs, checkMs: checked.value.ms, bootMs, freezeMs }, warm };
}
