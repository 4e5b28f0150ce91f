/** Differences between recorded and replayed values, each with its path. */
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { equalBytes, fromUtf8 } from "#base";
import { replayLimits } from "./limits.ts";

export interface Difference {
  /** `reply.body.lines[2].total` */
  readonly path: string;
  /** As JSON; absent: nothing is there. Long values are cut. */
  readonly recorded?: unknown;
  readonly replayed?: unknown;
}

/** Differences in the order they were found; those beyond the bound are counted. */
export class Differences {
  readonly found: Difference[] = [];
  count = 0;

  /** `undefined`: nothing is there. */
  add(path: string, recorded: unknown, replayed: unknown): void {
    this.count += 1;
    if (this.found.length >= replayLimits.differences) return;
    this.found.push({
      path,
      ...(recorded === undefined ? {} : { recorded: cut(recorded) }),
      ...(replayed === undefined ? {} : { replayed: cut(replayed) }),
    });
  }

  json(recorded: unknown, replayed: unknown, path: string): void {
    if (isObject(recorded) && isObject(replayed)) {
      for (const key of new Set([...Object.keys(recorded), ...Object.keys(replayed)]))
        this.json(own(recorded, key), own(replayed, key), pathTo(path, key));
    } else if (Array.isArray(recorded) && Array.isArray(replayed)) {
      for (let index = 0; index < Math.max(recorded.length, replayed.length); index++)
        this.json(recorded[index], replayed[index], `${path}[${index}]`);
    } else if (!isDeepStrictEqual(recorded, replayed)) this.add(path, recorded, replayed);
  }

  /** JSON by structure, text by its first line that differs, anything else by its hash. */
  bodies(recorded: Uint8Array, replayed: Uint8Array, path: string): void {
    if (equalBytes(recorded, replayed)) return;
    const [before, after] = [bodyValue(recorded), bodyValue(replayed)];
    if (before.kind === "json" && after.kind === "json") return this.json(before.value, after.value, path);
    if (before.kind !== "bytes" && after.kind !== "bytes") return this.texts(fromUtf8(recorded), fromUtf8(replayed), path);
    this.add(path, before.kind === "bytes" ? before.value : fromUtf8(recorded), after.kind === "bytes" ? after.value : fromUtf8(replayed));
  }

  texts(recorded: string, replayed: string, path: string): void {
    if (recorded === replayed) return;
    const [before, after] = [recorded.split("\n"), replayed.split("\n")];
    if (before.length === 1 && after.length === 1) return this.add(path, recorded, replayed);
    const line = before.findIndex((text, index) => text !== after[index]);
    const at = line < 0 ? before.length : line;
    this.add(`${path} line ${at + 1}`, before[at], after[at]);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(value: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

export function pathTo(path: string, key: string): string {
  const name = /^[A-Za-z_$][\w$-]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  return path === "" ? name.replace(/^\./, "") : `${path}${name}`;
}

function cut(value: unknown): unknown {
  if (typeof value === "string") {
    const most = replayLimits.textCharacters;
    return value.length <= most ? value : `${value.slice(0, most)}… (${value.length} characters)`;
  }
  if (typeof value !== "object" || value === null) return value;
  const json = JSON.stringify(value);
  return json.length <= replayLimits.jsonCharacters ? value : `${json.slice(0, replayLimits.jsonCharacters)}… (${json.length} characters)`;
}

export type BodyValue =
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: { readonly bytes: number; readonly sha256: string } };

/** A body in the form it is compared and shown in. */
export function bodyValue(body: Uint8Array): BodyValue {
  const text = body.length > replayLimits.parsedBytes ? undefined : fromUtf8(body);
  if (text === undefined || (text.includes("\ufffd") && !equalBytes(Buffer.from(text), body))) {
    const sha256 = createHash("sha256").update(body).digest("hex");
    return { kind: "bytes", value: { bytes: body.length, sha256 } };
  }
  const value = jsonValue(text);
  return value === undefined ? { kind: "text", value: text } : { kind: "json", value };
}

/** The value of a JSON text; undefined for any other. */
export function jsonValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
