/** Options of commands that choose recorded messages. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "#base";
import type { HistoryQuery, MessageStatus } from "#gateway";
import type { GatewayFlags } from "../admin.ts";
import { jsonOption } from "../cli.ts";
import { usageError } from "../failure.ts";

export interface QueryFlags extends GatewayFlags {
  readonly flow?: string;
  readonly status?: MessageStatus;
  readonly code?: string;
  readonly key?: string;
  readonly id?: string;
  readonly correlation?: string;
  readonly header?: string;
  readonly text?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
  readonly json?: boolean;
}

/** Options that find the gateway, or the folder. */
export function placeOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "path of mayfly.yaml, to find the gateway or the recordings", "mayfly.yaml")
    .option("--gateway <url>", "address of a running gateway, http://… or unix:PATH (default: MAYFLY_GATEWAY, else by mayfly.yaml)")
    .addOption(new Option("--token <token>", "http.admin.token, for a gateway given by URL (default: MAYFLY_TOKEN)"))
    .addOption(jsonOption());
}

/** `24h`: that long ago. A date: 2026-03-02 or 2026-03-02T10:15:00Z. */
export function moment(text: string): number {
  const ago = parseDuration(text);
  const at = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (Number.isNaN(at)) throw new InvalidArgumentError("It must be a duration such as 24h, or a date such as 2026-03-02T10:15:00Z.");
  return at;
}

/** A whole number from 1 to `most`. */
function count(most: number): (text: string) => number {
  return (text) => {
    const limit = Number(text);
    if (!Number.isInteger(limit) || limit < 1 || limit > most)
      throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
    return limit;
  };
}

/** `most`: the largest limit. */
export function queryOptions(command: Command, most = 10_000): Command {
  return command
    .option("--flow <name>", "of this flow")
    .addOption(new Option("--status <status>", "with this end").choices(["done", "failed", "dead"]))
    .option("--code <code>", "failed with this code")
    .option("--key <key>", "with this key")
    .option("--id <id>", "with this id")
    .option("--correlation <id>", "with this correlation id")
    .option("--header <name: value>", "that came with this header")
    .option("--text <text>", "with this text in a body, header, send, log line or error")
    .option("--since <time>", "received within this time, such as 24h, or since a date", moment)
    .option("--until <time>", "received before", moment)
    .option("--limit <number>", "at most so many", count(most));
}

export function queryOf(flags: QueryFlags, limit = 100): HistoryQuery {
  const { flow, status, code, key, id, correlation, header, text, since, until } = flags;
  const colon = header?.indexOf(":") ?? 1;
  if (colon < 1) throw usageError(`--header ${header ?? ""}: give it as "name: value"`);
  return {
    flow,
    status,
    code,
    key,
    id,
    correlationId: correlation,
    header: header === undefined ? undefined : { name: header.slice(0, colon).trim().toLowerCase(), value: header.slice(colon + 1).trim() },
    text,
    sinceMs: since,
    untilMs: until,
    limit: flags.limit ?? limit,
  };
}
