/**
 * Profiles: mayfly.prod.yaml over mayfly.yaml. Objects are merged key by key, everything else replaces what was there, lists as a whole;
 * a key without a value (null) takes the setting away, as a JSON merge patch does (RFC 7396).
 */
import { readFile } from "node:fs/promises";
import { parse } from "node:path";
import { CodedError } from "#base";
import { type Document, isAlias, isMap, isNode, isScalar, type Node, type Pair, visit, type YAMLMap } from "yaml";
import { gatewayLimits } from "../contract/limits.ts";
import type { Environment } from "./environment.ts";

/** The profile that the environment names; undefined for none. Throws MF_CONFIG_PROFILE. */
export function profileOf({ MAYFLY_PROFILE: name = "" }: Environment): string | undefined {
  if (name === "") return undefined;
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) return name;
  throw new CodedError(
    "MF_CONFIG_PROFILE",
    `${JSON.stringify(name.slice(0, 64))} is not a profile's name: use letters, digits, _ and -, as in --profile prod`,
  );
}

/** `conf/mayfly.prod.yaml` for `conf/mayfly.yaml` and `prod`. */
export function profileFile(file: string, profile: string): string {
  const { ext } = parse(file);
  return `${file.slice(0, file.length - ext.length)}.${profile}${ext}`;
}

export interface ProfileText {
  readonly file: string;
  readonly text: string;
}

/** The profile's file that goes over the one at `path`; undefined without a profile. Rejects with MF_CONFIG_PROFILE. */
export async function profileText(path: string, environment: Environment): Promise<ProfileText | undefined> {
  const name = profileOf(environment);
  if (name === undefined) return undefined;
  const file = profileFile(path, name);
  try {
    return { file, text: await readFile(file, "utf8") };
  } catch (cause) {
    const { code = "unknown" } = cause as NodeJS.ErrnoException;
    throw new CodedError(
      "MF_CONFIG_PROFILE",
      `the profile ${name} needs the file ${file}, which can't be read (${code}): write it, or choose another`,
      {
        cause,
      },
    );
  }
}

function isNothing(value: unknown): boolean {
  return value === null || (isScalar(value) && value.value === null);
}

function keyOf(pair: Pair): unknown {
  return isScalar(pair.key) ? pair.key.value : pair.key;
}

function mergeMaps(base: YAMLMap, over: YAMLMap, document: Document): void {
  for (const pair of over.items) {
    const at = base.items.findIndex((each) => keyOf(each) === keyOf(pair));
    const own = base.items[at];
    if (isNothing(pair.value)) {
      if (at >= 0) base.items.splice(at, 1);
      continue;
    }
    if (own === undefined) {
      base.items.push(pair);
      withoutNothing(pair.value);
      continue;
    }
    // A part that another place defines is changed here only.
    const target = isAlias(own.value) ? withoutAnchor(own.value.resolve(document)) : own.value;
    if (isMap(target) && isMap(pair.value)) {
      own.value = target;
      mergeMaps(target, pair.value, document);
    } else {
      base.items[at] = pair;
      withoutNothing(pair.value);
    }
  }
}

/** Where nothing was before, there is nothing to take away. */
function withoutNothing(node: unknown): void {
  if (!isMap(node)) return;
  node.items = node.items.filter(({ value }) => !isNothing(value));
  for (const { value } of node.items) withoutNothing(value);
}

/** Puts copies in place of aliases: what they name may be gone once the profile is merged. Throws MF_CONFIG_PROFILE. */
function resolveAliases(profile: Document): void {
  let count = 0;
  visit(profile, {
    Alias: (_key, alias) => {
      const node = alias.resolve(profile);
      if (node === undefined) return undefined; // reported when the document is converted
      count += 1;
      if (count > gatewayLimits.profileAliases)
        throw new CodedError(
          "MF_CONFIG_PROFILE",
          `the profile names parts of itself more than ${gatewayLimits.profileAliases} times: write them out`,
        );
      return withoutAnchor(node) as Node;
    },
  });
}

function withoutAnchor(node: unknown): unknown {
  if (!isNode(node)) return node;
  const copy = node.clone();
  visit(copy as never, {
    Node: (_key, each) => {
      if ("anchor" in each) delete each.anchor;
    },
  });
  return copy;
}

/** Puts a profile over a document. `shift` is added to the places of its nodes, so that they can be told from the document's. */
export function mergeDocuments(document: Document, profile: Document, shift: number): void {
  resolveAliases(profile);
  visit(profile, {
    Node: (_key, node) => {
      if (node.range) node.range = [node.range[0] + shift, node.range[1] + shift, node.range[2] + shift];
      if ("anchor" in node) delete node.anchor; // another part of the document may have this name
    },
  });
  if (profile.contents === null || isNothing(profile.contents)) return;
  if (isMap(document.contents) && isMap(profile.contents)) mergeMaps(document.contents, profile.contents, document);
  else {
    document.contents = profile.contents;
    withoutNothing(document.contents);
  }
}

/** The same on values. */
export function mergeValues(base: unknown, over: unknown): unknown {
  const isTable = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (over === null || over === undefined) return base;
  if (!isTable(over)) return over;
  const merged = new Map(Object.entries(isTable(base) ? base : {}));
  for (const [name, value] of Object.entries(over))
    if (value === null) merged.delete(name);
    else merged.set(name, mergeValues(merged.get(name), value));
  return Object.fromEntries(merged);
}
