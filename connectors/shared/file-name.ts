/**
 * Names of files made from messages: different values give different names. A safe value is used unchanged; any other is made safe, and gets
 * `~` and a hash of the whole value at its end. No value that is used unchanged contains `~`.
 */
import { createHash } from "node:crypto";
import { headerText } from "#abi";
import { err, ok, type Result } from "#base";
import type { Outgoing } from "#gateway/contract";
import { fileNameLimits } from "./limits.ts";

type Variable = (message: Outgoing, idempotencyKey: string) => string | undefined;

interface Kind {
  readonly value: Variable;
  /** Has a fixed length: the text after it needs no separator. */
  readonly fixed?: true;
}

const variables: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["id", { value: (message, idempotencyKey) => `${message.messageId}-${idempotencyKey.split("/").slice(-2).join("-")}` }],
  ["message", { value: (message) => message.messageId }],
  ["date", { value: (message) => new Date(message.timeMs).toISOString().slice(0, 10), fixed: true }],
  ["hour", { value: (message) => new Date(message.timeMs).toISOString().slice(11, 13), fixed: true }],
  ["time", { value: (message) => new Date(message.timeMs).toISOString().slice(11, 23).replace(/[:.]/g, ""), fixed: true }],
  // The same for every message of this outlet.
  ["flow", { value: (message) => message.flow, fixed: true }],
  ["outlet", { value: (message) => message.outlet, fixed: true }],
  ["key", { value: (message) => message.key }],
]);

/** Stands for an absent value; a value with this text is changed. */
const absent = "none";

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, fileNameLimits.hashCharacters);
}

function safe(value: string | undefined, separator: string | undefined): string {
  if (value === undefined) return absent;
  const ambiguous = separator !== undefined && (separator === "" || value.includes(separator));
  const stands = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(value) && value !== absent && value.length <= fileNameLimits.valueCharacters;
  if (stands && !ambiguous) return value;
  const readable = value
    .slice(0, fileNameLimits.valueCharacters)
    .replace(/[^A-Za-z0-9._-]/g, "_")
    .replace(/^\.+/, (dots) => "_".repeat(dots.length));
  return `${readable === "" ? "_" : readable}~${hashOf(value)}`;
}

export type NameTemplate = (message: Outgoing, idempotencyKey: string) => string;

/** `{date}/{id}.json`. The same for every attempt at one send. */
export function nameTemplate(template: string): Result<NameTemplate, string> {
  const unknown = [...template.matchAll(/\{([^}]*)\}/g)]
    .map((match) => match[1] ?? "")
    .find((name) => !variables.has(name) && !/^header:[a-z0-9-]+$/.test(name));
  if (unknown !== undefined) {
    const known = [...variables.keys()].map((name) => `{${name}}`).join(", ");
    return err(`unknown placeholder {${unknown}}: use ${known} or {header:NAME}`);
  }
  const parts = template.split("/");
  if (template.startsWith("/") || template.endsWith("/") || parts.some((part) => part === "" || part === "." || part === ".."))
    return err("must be a path below dir, without empty parts, . or ..");
  return ok((message, idempotencyKey) => parts.map((part) => partOf(part, message, idempotencyKey)).join("/"));
}

function partOf(template: string, message: Outgoing, idempotencyKey: string): string {
  const part = template.replace(/\{([^}]*)\}/g, (whole, name: string, at: number) => {
    const kind: Kind = variables.get(name) ?? { value: () => headerText(message.headers[name.slice("header:".length)]) };
    // Up to the next variable: with it in a value, two pairs of values could make one name.
    const separator = kind.fixed === true ? undefined : /^([^{]*)\{/.exec(template.slice(at + whole.length))?.[1];
    return safe(kind.value(message, idempotencyKey), separator);
  });
  return part.length <= fileNameLimits.partCharacters
    ? part
    : `${part.slice(0, fileNameLimits.partCharacters - fileNameLimits.hashCharacters - 1)}~${hashOf(part)}`;
}
