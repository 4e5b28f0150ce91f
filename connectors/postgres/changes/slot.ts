/** Publication and replication slot at the server: checked, created, and looked at while they are read. */
import pg from "pg";
import { CodedError } from "#base";
import { messageOf } from "../../shared/explain.ts";
import { explainPostgres, quoteTable } from "../client.ts";
import { changeLimits } from "../limits.ts";
import type { ChangesConfig } from "./config.ts";
import type { Lsn } from "./pgoutput.ts";
import { lsnOf } from "./stream.ts";

/** A row of pg_replication_slots, whose columns depend on the server's version. */
interface SlotRow {
  readonly plugin: string | null;
  readonly slot_type: string;
  readonly database: string | null;
  readonly temporary: boolean;
  readonly active_pid: number | null;
  readonly confirmed_flush_lsn: string | null;
  readonly wal_status?: string | null;
  readonly conflicting?: boolean | null;
  readonly invalidation_reason?: string | null;
}

export interface Slot {
  /** The server has kept this position. */
  readonly confirmed: Lsn;
  /** Process that reads it. */
  readonly activePid: number | undefined;
  /** Bytes of the log that come behind the position, and that the server keeps for the slot. */
  readonly behindBytes: number;
  readonly keptBytes: number;
  /** The server may remove log that the slot needs, at its next checkpoint. */
  readonly isEndangered: boolean;
}

const states = { publication: "42704", inUse: "55006", notReady: "55000", noFile: "58P01", forbidden: "42501", canceled: "57014" } as const;

const stateOf = (error: unknown): string => (error instanceof pg.DatabaseError ? (error.code ?? "") : "");

export class SlotServer {
  readonly #client: pg.Client;
  readonly #config: ChangesConfig;
  readonly #peer: string;

  constructor(client: pg.Client, config: ChangesConfig, peer: string) {
    this.#client = client;
    this.#config = config;
    this.#peer = peer;
  }

  /** Checks the server and the publication, and returns the timeout of a silent reader, in milliseconds; 0: never. Throws a CodedError. */
  async check(): Promise<number> {
    const { rows } = await this.#client.query<{ readonly name: string; readonly setting: string }>(
      "select name, setting from pg_settings where name in ('wal_level', 'wal_sender_timeout')",
    );
    const setting = (name: string): string => rows.find((row) => row.name === name)?.setting ?? "";
    if (setting("wal_level") !== "logical")
      throw new CodedError(
        "MF_POSTGRES_WAL_LEVEL",
        `${this.#peer} keeps no logical changes (wal_level is ${setting("wal_level")}): run "alter system set wal_level = logical" there and restart the server`,
      );
    await this.#checkPublication();
    return Number(setting("wal_sender_timeout"));
  }

  async #checkPublication(): Promise<void> {
    const { publication, tables = [], create } = this.#config;
    const find = (): Promise<{ readonly rowCount: number | null }> =>
      this.#client.query("select 1 from pg_publication where pubname = $1", [publication]);
    if ((await find()).rowCount === 0 && create) await this.#publish();
    if ((await find()).rowCount === 0)
      throw new CodedError(
        "MF_POSTGRES_NO_PUBLICATION",
        `publication ${publication} does not exist at ${this.#peer}: create it with "create publication … for table …", or set changes.create`,
      );
    const lacking = await this.#client.query<{ readonly name: string }>(
      `select name from unnest($2::text[], $3::text[]) as wanted(name, quoted) where not exists (
         select 1 from pg_publication p where p.pubname = $1 and (p.puballtables and to_regclass(quoted) is not null or exists (
           select 1 from pg_publication_rel r where r.prpubid = p.oid and r.prrelid = to_regclass(quoted)))
       ) and not exists (
         select 1 from pg_publication_tables t where t.pubname = $1
           and to_regclass(quote_ident(t.schemaname) || '.' || quote_ident(t.tablename)) = to_regclass(quoted))`,
      [publication, tables, tables.map(quoteTable)],
    );
    const names = lacking.rows.map(({ name }) => name).join(", ");
    if (names !== "")
      throw new CodedError(
        "MF_POSTGRES_NO_PUBLICATION",
        `publication ${publication} at ${this.#peer} lacks ${names}: add it with "alter publication … add table …", or correct changes.tables`,
      );
  }

  /** Two that do it at once are one too many: the second finds it there. */
  async #publish(): Promise<void> {
    const { publication, tables } = this.#config;
    const which = tables === undefined ? "all tables" : `table ${tables.map(quoteTable).join(", ")}`;
    try {
      await this.#client.query(`create publication ${pg.escapeIdentifier(publication)} for ${which}`);
    } catch (error) {
      if (stateOf(error) === "42710" || stateOf(error) === "23505") return;
      if (stateOf(error) !== "42P01" && stateOf(error) !== "3F000") throw error;
      throw new CodedError("MF_POSTGRES_NO_TABLE", `${messageOf(error)} at ${this.#peer}: create it, or correct changes.tables`, {
        cause: error,
      });
    }
  }

  /** Undefined if there is no such slot. Throws a CodedError for one that can't be read. */
  async look(): Promise<Slot | undefined> {
    const { rows } = await this.#client.query<{
      readonly slot: SlotRow;
      readonly here: string;
      readonly behind: string | null;
      readonly kept: string | null;
    }>(
      `select to_jsonb(s) as slot, current_database() as here,
         pg_wal_lsn_diff(log.at, s.confirmed_flush_lsn)::text as behind, pg_wal_lsn_diff(log.at, s.restart_lsn)::text as kept
       from pg_replication_slots s,
         (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end) as log(at)
       where s.slot_name = $1`,
      [this.#config.slot],
    );
    const [found] = rows;
    if (found === undefined) return undefined;
    const { slot, here } = found;
    this.#checkKind(slot, here);
    if (slot.wal_status === "lost" || (slot.invalidation_reason ?? null) !== null || slot.conflicting === true)
      throw lostSlot(this.#peer, this.#config.slot, slot.confirmed_flush_lsn);
    return {
      confirmed: lsnOf(slot.confirmed_flush_lsn) ?? 0n,
      activePid: slot.active_pid ?? undefined,
      behindBytes: Math.max(0, Number(found.behind ?? 0)),
      keptBytes: Math.max(0, Number(found.kept ?? 0)),
      isEndangered: slot.wal_status === "unreserved",
    };
  }

  #checkKind({ plugin, slot_type: kind, database, temporary }: SlotRow, here: string): void {
    const { slot } = this.#config;
    const why =
      kind !== "logical" ? `is ${kind}, not logical`
      : plugin !== "pgoutput" ? `is of plugin ${plugin}, not pgoutput`
      : database !== here ? `belongs to database ${database}`
      : temporary ? "is temporary"
      : undefined; // biome-ignore format: a table
    if (why !== undefined) throw new CodedError("MF_POSTGRES_SLOT", `slot ${slot} at ${this.#peer} ${why}: name another slot`);
  }

  /** Returns once the server has found a beginning: all transactions that were open have ended. */
  async create(): Promise<void> {
    const { slot } = this.#config;
    try {
      await this.#client.query(`set statement_timeout = ${changeLimits.slotMs}`);
      await this.#client.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
      await this.#client.query("reset statement_timeout");
    } catch (error) {
      if (stateOf(error) === "42710") return; // somebody else did
      if (stateOf(error) !== states.canceled) throw error;
      const text = `${this.#peer} can't begin slot ${slot} before all open transactions have ended: end those that are forgotten`;
      throw new CodedError("MF_POSTGRES_UNAVAILABLE", text, { cause: error });
    }
  }

  /** Ends a reader that was ours, and whose connection the server does not know to be lost. */
  async end({ pid, since }: Walsender): Promise<void> {
    const sql = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start::text = $2";
    await this.#client.query(sql, [pid, since]);
  }
}

/** A process of the server that sends changes. */
export interface Walsender {
  readonly pid: number;
  /** Its start. Another process may get the same number later. */
  readonly since: string;
}

export function lostSlot(peer: string, slot: string, position: string | null | undefined): CodedError {
  const from = position === null || position === undefined ? "" : ` from ${position} on`;
  return new CodedError(
    "MF_POSTGRES_SLOT_LOST",
    `slot ${slot} at ${peer} is lost: changes${from} are missing. Bring over the rows that changed since, then run "select pg_drop_replication_slot('${slot}')", if it is still there, and "select pg_create_logical_replication_slot('${slot}', 'pgoutput')"`,
  );
}

export function missingSlot(peer: string, slot: string): CodedError {
  return new CodedError(
    "MF_POSTGRES_NO_SLOT",
    `slot ${slot} does not exist at ${peer}: run "select pg_create_logical_replication_slot('${slot}', 'pgoutput')", or set changes.create`,
  );
}

export function explainChanges(peer: string, { publication, slot }: ChangesConfig, error: unknown): CodedError {
  const message = messageOf(error);
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  switch (stateOf(error)) {
    case states.publication:
      if (/slot/.test(message)) return missingSlot(peer, slot);
      return told(
        "MF_POSTGRES_NO_PUBLICATION",
        `publication ${publication} does not exist at ${peer}, or did not when a change was made that slot ${slot} still has: create it, and then the slot`,
      );
    case states.inUse:
      return told("MF_POSTGRES_SLOT_IN_USE", `slot ${slot} at ${peer} is read by another client: this source waits until it is free`);
    case states.notReady:
      if (/slot/.test(message)) return lostSlot(peer, slot, undefined);
      break;
    case states.noFile:
      return lostSlot(peer, slot, undefined);
    case states.forbidden:
      if (/walsender|WAL sender|replication/i.test(message))
        return told("MF_POSTGRES_REPLICATION", `${peer} denies this user replication: run "alter role … with replication" there`);
      break;
    default:
  }
  return explainPostgres(peer, `publication ${publication}`, error);
}
