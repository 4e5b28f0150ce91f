/** Changes of a function's record: from what is recorded to what is recorded next. Pure; each gives its argument where nothing changes. */
import { CodedError } from "#base";
import { functionLimits } from "./limits.ts";
import { checkName, type FunctionRecord, type FunctionVersion, keptVersions, namedVersion, versionOf } from "./records.ts";

/** A version to be deployed. */
export interface Deploy {
  /** SHA-256 of an image that the tenant has uploaded. */
  readonly image: string;
  readonly fragment: string;
  /** Share of the messages that it gets beside the live version; undefined: it becomes the live one. */
  readonly canary: number | undefined;
}

/** Facts that follow from a version's settings. */
export type Served = Pick<FunctionRecord, "paths" | "resident">;

/** A revision that the function never had, also after a removal. */
function nextRevision(before: FunctionRecord | undefined, nowMs: number): number {
  return Math.max((before?.revision ?? 0) + 1, Math.floor(nowMs));
}

/** True where the version is what is served already. */
export function isSame(before: FunctionRecord | undefined, { image, fragment, canary }: Deploy): before is FunctionRecord {
  const live = before?.canary === null ? versionOf(before, before.live) : undefined;
  return canary === undefined && live?.image === image && live.fragment === fragment;
}

/** Throws MF_FUNCTION_VERSION for a canary without a version beside it. */
export function deployed(
  before: FunctionRecord | undefined,
  { image, fragment, canary }: Deploy,
  { served, by, nowMs }: { readonly served: Served; readonly by: string; readonly nowMs: number },
): FunctionRecord {
  const version = (before?.versions.at(-1)?.version ?? 0) + 1;
  const made: FunctionVersion = { version, image, fragment, at: nowMs, by };
  const next = { revision: nextRevision(before, nowMs), aliases: before?.aliases ?? {}, versions: [...(before?.versions ?? []), made] };
  if (canary === undefined) return trimmed({ ...next, live: version, canary: null, ...served });
  if (before === undefined)
    throw new CodedError("MF_FUNCTION_VERSION", "there is no version that a canary could stand beside: deploy one without --canary first");
  return trimmed({ ...before, ...next, canary: { version, share: canary } });
}

function trimmed(record: FunctionRecord): FunctionRecord {
  return { ...record, versions: keptVersions(record) };
}

export function activated(before: FunctionRecord, live: number, served: Served, nowMs: number): FunctionRecord {
  return { ...before, revision: nextRevision(before, nowMs), live, canary: null, ...served };
}

/** `canary`: undefined ends it. Throws MF_FUNCTION_VERSION. */
export function withCanary(
  before: FunctionRecord,
  canary: { readonly version: string; readonly share: number } | undefined,
  nowMs: number,
): FunctionRecord {
  if (canary === undefined) return before.canary === null ? before : { ...before, revision: nextRevision(before, nowMs), canary: null };
  const { version } = namedVersion(before, canary.version);
  if (version === before.live)
    throw new CodedError("MF_FUNCTION_VERSION", `version ${version} is the one that is served: a canary is another version`);
  return { ...before, revision: nextRevision(before, nowMs), canary: { version, share: canary.share } };
}

/** `version`: undefined takes the name away. Throws MF_FUNCTION_VERSION, MF_FUNCTION_NAME or MF_TENANT_QUOTA. */
export function withAlias(before: FunctionRecord, alias: string, version: string | undefined, nowMs: number): FunctionRecord {
  checkName(alias, "an alias");
  const named = Object.hasOwn(before.aliases, alias) ? before.aliases[alias] : undefined;
  const { [alias]: _named, ...others } = before.aliases;
  if (version === undefined) return named === undefined ? before : { ...before, revision: nextRevision(before, nowMs), aliases: others };
  if (Object.keys(others).length >= functionLimits.aliases)
    throw new CodedError("MF_TENANT_QUOTA", `a function has at most ${functionLimits.aliases} aliases: remove one`);
  const next = namedVersion(before, version).version;
  return next === named ? before : { ...before, revision: nextRevision(before, nowMs), aliases: { ...others, [alias]: next } };
}
