/** PostgreSQL over pg: connecting, its errors in our words, and the layout of an inbox table. */
import pg from "pg";
import { CodedError } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import type { RowBound } from "../shared/sql-rows.ts";
import { quotedTable } from "../shared/sql.ts";
import { readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { BoundedConnection } from "./bounded.ts";
import type { CopyFrames } from "./copy-frames.ts";

export interface PostgresConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly heartbeat: number;
  readonly tls?: TlsConfig;
}

export const postgresSchema: Readonly<Record<string, JsonSchema>> = {
  url: { type: "string", description: "`postgres://user:password@host:5432/database`; TLS with `?sslmode=require` or `tls`." },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  heartbeat: duration("Timeout after which a silent server counts as lost.", "10s"),
  tls: tlsSchema,
};

const schemes = ["postgres:", "postgresql:"];
const plainModes = new Set(["disable", "allow", "prefer", ""]);

export function postgresPeer(config: PostgresConfig): string {
  parseUrl(config.url, schemes);
  return withoutSecrets(config.url);
}

export interface Opened {
  readonly client: pg.Client;
  readonly connection: BoundedConnection;
}

/** With `copies` a connection of replication, which gives them its CopyData, and takes only simple statements. */
export async function openPostgres(
  config: PostgresConfig,
  context: ConnectorContext,
  lost: (error: unknown) => void,
  bound: RowBound,
  copies?: CopyFrames,
): Promise<Opened> {
  const url = parseUrl(config.url, schemes);
  const tls = await readTls(config.tls, context);
  // libpq's "require" trusts any certificate; ours does not unless told to.
  const wanted = tls !== undefined || !plainModes.has(url.searchParams.get("sslmode") ?? "");
  const ssl = wanted ? { rejectUnauthorized: true, ...tls } : false;
  const connection = new BoundedConnection({ ssl, keepAlive: true, keepAliveInitialDelayMillis: config.heartbeat }, bound, copies);
  const options: pg.ClientConfig & { readonly connection: pg.Connection; readonly replication?: "database" } = {
    connection,
    ...(copies === undefined ? {} : { replication: "database" }),
    host: decodeURIComponent(url.hostname).replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 5432 : Number(url.port),
    user: config.username ?? decodeURIComponent(url.username),
    password: config.password ?? decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ssl,
    connectionTimeoutMillis: brokerLimits.connectMs,
    application_name: `mayfly ${context.flow} ${context.name}`,
  };
  const client = new pg.Client(options);
  client.on("error", lost);
  client.on("end", () => lost(new Error("the connection was closed")));
  try {
    await client.connect();
    return { client, connection };
  } catch (error) {
    lost(error); // before closing, which would be taken for the reason
    await client.end().catch(() => {});
    throw error;
  }
}

export function explainPostgres(peer: string, what: string, error: unknown): CodedError {
  const message = messageOf(error);
  const state = error instanceof pg.DatabaseError ? (error.code ?? "") : "";
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  if (state.startsWith("28")) return told("MF_POSTGRES_AUTH", `${peer} rejected the login: check url, username and password`);
  if (/password must be a string|no password supplied/i.test(message))
    return told("MF_POSTGRES_AUTH", `${peer} requires a password: set it in url or password`);
  switch (state) {
    case "3D000":
      return told("MF_POSTGRES_NO_DATABASE", `${peer}: ${message}`);
    case "42P01":
    case "3F000":
      return told("MF_POSTGRES_NO_TABLE", `${what} does not exist at ${peer}: create it, or correct its name`);
    case "42703":
      return told("MF_POSTGRES_COLUMNS", `${what} at ${peer} has unexpected columns: ${message}`);
    case "42501":
      return told("MF_POSTGRES_FORBIDDEN", `${peer} denied this user access to ${what}: ${message}`);
    default:
  }
  if (/^(57P|53|25006)/.test(state)) return told("MF_POSTGRES_UNAVAILABLE", `${peer} is not available: ${message}`);
  if (state !== "" && !state.startsWith("08")) return told("MF_POSTGRES_FAILED", `${peer} rejected a statement on ${what}: ${message}`);
  if (/does not support SSL/i.test(message))
    return told("MF_POSTGRES_TLS", `${peer} does not support TLS: enable it at the server, or leave out tls`);
  return explainNetwork("POSTGRES", peer, error);
}

/** `orders` or `schema.orders`, quoted. */
export const quoteTable = (name: string): string => quotedTable(name, pg.escapeIdentifier);

/** The inbox table of source and outlet. Row ids are assigned at insert, so rows of a long transaction may come behind later ones. */
export function inboxTable(quoted: string): string {
  return `create table if not exists ${quoted} (
    id bigint generated always as identity primary key,
    message_id text unique,
    key text,
    content_type text,
    correlation_id text,
    headers jsonb not null default '{}',
    body bytea not null,
    created_at timestamptz not null default now(),
    attempts integer not null default 0,
    claimed_by text,
    claimed_until timestamptz,
    done_at timestamptz,
    error text
  )`;
}

/** If two connectors create one table at once, the second gets "already exists" in spite of "if not exists": no error. */
export async function createInbox(client: pg.Client, quoted: string): Promise<void> {
  try {
    await client.query(inboxTable(quoted));
  } catch (error) {
    const state = error instanceof pg.DatabaseError ? error.code : undefined;
    if (state !== "23505" && state !== "42P07" && state !== "42710") throw error;
  }
}

const exactOids = new Set([17, 20, 1082, 1083, 1114, 1184, 1266, 1700]); // bytea, bigint, dates and times, numeric: as PostgreSQL writes them
const exactArrays = new Set([1001, 1115, 1182, 1185, 1231]); // of bytea, dates and times, numeric; pg leaves the other arrays as they are
const textArray = 1009;
/** Rows as JSON without loss. */
export const exactTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    exactOids.has(oid)
      ? (text: string) => text
      : pg.types.getTypeParser(exactArrays.has(oid) ? textArray : oid, format as "text")) as typeof pg.types.getTypeParser,
};

/** Runs a statement; its rows come one by one and are not kept. `onRow` must not throw. */
export function streamRows(
  client: pg.Client,
  statement: { readonly text: string; readonly values: unknown[]; readonly types: pg.CustomTypesConfig },
  onRow: (row: Readonly<Record<string, unknown>>) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const running = client.query(new pg.Query<Record<string, unknown>>(statement));
    running.on("row", onRow);
    running.on("error", reject);
    running.on("end", () => resolve());
  });
}
