/**
 * Where a gateway keeps things, read from its mayfly.yaml without all the rest: a command that looks at dead letters or the journal needs
 * none of the secrets that flows and connectors take from the environment, and works for a file with other faults.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CodedError } from "#base";
import { parse } from "yaml";
import { gatewayLimits } from "../contract/limits.ts";
import { type Environment, expand, secretFiles } from "./environment.ts";
import { mergeValues, profileText } from "./profile.ts";

export interface Places {
  /** Folder relative paths start from: that of mayfly.yaml. */
  readonly base: string;
  /** `dir`: undefined for a journal in memory. */
  readonly journal: { readonly dir: string | undefined };
  readonly deadLetters: { readonly dir: string };
  /** `dir`: undefined where it is not set. */
  readonly history: { readonly dir: string | undefined };
}

/** As in the schema, which has the same defaults. */
export const defaultPlaces = { journal: "./.mayfly/journal", deadLetters: ".mayfly/dead-letters" } as const;

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** The values of a file, which are not checked. Rejects with MF_CONFIG_SYNTAX. */
function valuesOf(text: string, path: string): unknown {
  if (text.length > gatewayLimits.configBytes)
    throw new CodedError("MF_CONFIG_SYNTAX", `${path} is longer than ${gatewayLimits.configBytes} bytes`);
  try {
    return parse(text);
  } catch (cause) {
    throw new CodedError("MF_CONFIG_SYNTAX", `${path} is not YAML: ${(cause as Error).message}`, { cause });
  }
}

/** The file with its profile over it. Rejects with MF_CONFIG_FILE, MF_CONFIG_PROFILE or MF_CONFIG_SYNTAX. */
async function wholeFile(path: string, environment: Environment): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new CodedError(
      "MF_CONFIG_FILE",
      `cannot read ${path} (${cause.code ?? "unknown"}): run mayfly in the folder of mayfly.yaml, or name it with -c`,
      { cause },
    );
  });
  const profile = await profileText(path, environment);
  return mergeValues(valuesOf(text, path), profile === undefined ? undefined : valuesOf(profile.text, profile.file));
}

/** Rejects with MF_CONFIG_FILE, MF_CONFIG_PROFILE, MF_CONFIG_SYNTAX, MF_CONFIG_INVALID or MF_CONFIG_ENV. */
export async function readPlaces(path: string, environment: Environment): Promise<Places> {
  const whole = await wholeFile(path, environment);
  const folder = (section: "journal" | "deadLetters" | "history", value: unknown): string => {
    if (typeof value !== "string") throw new CodedError("MF_CONFIG_INVALID", `${path}: ${section}.dir must be a text`);
    const expanded = expand(value, environment);
    if (!expanded.ok) throw new CodedError("MF_CONFIG_ENV", `${path}: ${section}.dir ${expanded.error}`);
    return expanded.value;
  };
  const dirOf = (section: string): unknown => member(member(whole, section), "dir");
  const historyDir = dirOf("history");
  const memory = member(member(whole, "journal"), "memory");
  return {
    base: dirname(resolve(path)),
    journal: { dir: memory === true || memory === "true" ? undefined : folder("journal", dirOf("journal") ?? defaultPlaces.journal) },
    deadLetters: { dir: folder("deadLetters", dirOf("deadLetters") ?? defaultPlaces.deadLetters) },
    history: { dir: historyDir === undefined ? undefined : folder("history", historyDir) },
  };
}

/** `http.admin.token`; undefined where it is not set. Rejects as `readPlaces` does, also for a file with the token that can't be read. */
export async function readAdminToken(path: string, environment: Environment): Promise<string | undefined> {
  const token = member(member(member(await wholeFile(path, environment), "http"), "admin"), "token");
  if (token === undefined || token === null) return undefined;
  const expanded = expand(String(token), environment, secretFiles(dirname(resolve(path)), new Set()));
  if (!expanded.ok) throw new CodedError("MF_CONFIG_ENV", `${path}: http.admin.token ${expanded.error}`);
  return expanded.value;
}
