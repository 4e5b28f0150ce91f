/** The record of a function, and its names. */
import { CodedError } from "#base";
import { ownerMark } from "../journal/owned-bytes.ts";
import { functionLimits } from "./limits.ts";

export interface FunctionVersion {
  /** From 1, never used twice. */
  readonly version: number;
  /** SHA-256 of the image. */
  readonly image: string;
  /** Text of NAME.mayfly.yaml; empty for none. */
  readonly fragment: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Name of the key it was deployed with. */
  readonly by: string;
}

/** A version that gets a share of the messages, from 0 to 1. */
export interface FunctionCanary {
  readonly version: number;
  readonly share: number;
}

export interface FunctionRecord {
  /** Grows with every change; also over a removal. */
  readonly revision: number;
  /** The version that is served. */
  readonly live: number;
  readonly canary: FunctionCanary | null;
  /** Names of versions. */
  readonly aliases: Readonly<Record<string, number>>;
  /** Ascending. */
  readonly versions: readonly FunctionVersion[];
  /** Paths of the live version's HTTP sources. */
  readonly paths: readonly string[];
  /** True: it is served from the start, for sources other than HTTP. */
  readonly resident: boolean;
}

/** A function's name in the world: the tenant (empty without tenants) and its own. */
export interface FunctionName {
  readonly tenant: string;
  readonly name: string;
}

/** Neither begins nor ends with a dash, nor has two in a row: they divide tenant and name in the name of the flow. */
const namePattern = /^[A-Za-z](?:[A-Za-z0-9_]|-(?!-|$)){0,29}$/;

/** First segments of paths that are the gateway's own. */
const reserved: ReadonlySet<string> = new Set(["ping", "ready", "metrics", "approve", "openapi", "api"]);

export function isName(text: string): boolean {
  return namePattern.test(text) && !reserved.has(text);
}

/** Throws MF_FUNCTION_NAME. */
export function checkName(name: string, what: string): void {
  if (isName(name)) return;
  throw new CodedError(
    "MF_FUNCTION_NAME",
    `${JSON.stringify(name.slice(0, 64))} can't be the name of ${what}: begin with a letter, use letters, digits, _ and single dashes, at most 30, and none of ${[...reserved].join(", ")}`,
  );
}

/** Name of the flow that serves it: `hello`, or `acme--hello`. */
export function flowNameOf({ tenant, name }: FunctionName): string {
  return tenant === "" ? name : tenant + ownerMark + name;
}

export function keyOf({ tenant, name }: FunctionName): string {
  return `f ${tenant}/${name}`;
}

export function nameOfKey(key: string): FunctionName {
  const slash = key.indexOf("/");
  return { tenant: key.slice(2, slash), name: key.slice(slash + 1) };
}

/** `hello` and `acme/hello`, for people. */
export function shownName({ tenant, name }: FunctionName): string {
  return tenant === "" ? name : `${tenant}/${name}`;
}

export function versionOf(record: FunctionRecord, version: number): FunctionVersion | undefined {
  return record.versions.find((each) => each.version === version);
}

/** The version that `text` names: a number, or an alias. Throws MF_FUNCTION_VERSION. */
export function namedVersion(record: FunctionRecord, text: string): FunctionVersion {
  const number = /^[0-9]{1,9}$/.test(text) ? Number(text) : Object.hasOwn(record.aliases, text) ? record.aliases[text] : undefined;
  const found = number === undefined ? undefined : versionOf(record, number);
  if (found !== undefined) return found;
  const known = [...record.versions.map(({ version }) => String(version)), ...Object.keys(record.aliases)];
  throw new CodedError(
    "MF_FUNCTION_VERSION",
    `there is no version ${JSON.stringify(text.slice(0, 64))}: it may be one of ${known.join(", ")}`,
  );
}

/** The versions that stay when there are too many: those that are served or named, and the newest. */
export function keptVersions({ versions, live, canary, aliases }: FunctionRecord): readonly FunctionVersion[] {
  const named = new Set([live, canary?.version, ...Object.values(aliases)]);
  let over = versions.length - functionLimits.versions;
  return versions.filter(({ version }) => {
    if (over <= 0 || named.has(version)) return true;
    over -= 1;
    return false;
  });
}

/** SHA-256 of every image that the record needs. */
export function imagesOf({ versions }: FunctionRecord): readonly string[] {
  return versions.map(({ image }) => image);
}
