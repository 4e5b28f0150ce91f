/**
 * Changes of tables, from a logical replication slot.
 *
 * Two connections: one of replication, which gets the changes and tells the position, and an ordinary one, for the checks, for creating, and
 * for a look at the slot at every heartbeat. A server that is busy with a long transaction answers nothing over the first; over the second it
 * tells if the first is still alive.
 */
import pg from "pg";
import type { CodedError } from "#base";
import type { Health, Source, SourceContext } from "#gateway/contract";
import { brokerSource, FetchLoop, type Reading, type SourceOpening } from "../../shared/broker-source.ts";
import { heartbeat } from "../../shared/link.ts";
import { inboxRows } from "../../shared/sql-rows.ts";
import { openPostgres, type Opened, type PostgresConfig, postgresPeer } from "../client.ts";
import { CopyFrames } from "../copy-frames.ts";
import { changeLimits } from "../limits.ts";
import type { ChangesConfig } from "./config.ts";
import { Progress } from "./progress.ts";
import { ChangeReader } from "./reader.ts";
import { PlaceRecord } from "./record.ts";
import { explainChanges, lostSlot, missingSlot, type Slot, SlotServer, type Walsender } from "./slot.ts";

export interface ChangesOptions {
  readonly config: PostgresConfig & { readonly prefetch?: number };
  readonly changes: ChangesConfig;
  readonly context: SourceContext;
}

export function changesSource(options: ChangesOptions): Source {
  const { config, changes, context } = options;
  const peer = postgresPeer(config);
  const slot = new SlotSource(options, peer);
  const explain = (error: unknown): CodedError => explainChanges(peer, changes, error);
  const source = brokerSource({
    context,
    peer,
    place: `publication ${changes.publication}`,
    prefetch: config.prefetch,
    explain: (_peer, _place, error) => explain(error),
    open: (opening) => slot.open(opening),
  });
  return { ...source, health: () => slot.health(source.health()) };
}

/** A server's slot, over all connections. */
class SlotSource {
  readonly #options: ChangesOptions;
  readonly #peer: string;
  readonly #progress = new Progress();
  readonly #record: PlaceRecord;
  #last: Slot | undefined;
  /** The process that sent to us. */
  #walsender: Walsender | undefined;
  #isWarned = false;

  constructor(options: ChangesOptions, peer: string) {
    this.#options = options;
    this.#peer = peer;
    this.#record = new PlaceRecord(options.context, options.changes, this.#progress);
  }

  health(health: Health): Health {
    const { slot } = this.#options.changes;
    if (!health.ready || this.#last === undefined) return health;
    const { behindBytes, keptBytes } = this.#last;
    return { ready: true, detail: `${health.detail}, ${behindBytes} bytes behind; slot ${slot} keeps ${keptBytes} bytes of the log` };
  }

  async open({ intake, lost, own }: SourceOpening): Promise<Reading> {
    const { config, changes, context } = this.#options;
    const { client } = await openPostgres(config, context, lost, inboxRows);
    own({ close: () => client.end() });
    const server = new SlotServer(client, changes, this.#peer);
    const silentMs = await server.check();
    const slot = await this.#slot(server);
    let reader: ChangeReader | undefined;
    const copies = new CopyFrames({ mostBytes: changeLimits.changeBytes, headBytes: changeLimits.headBytes }, (content, bytes) =>
      reader?.take(content, bytes),
    );
    const replication = await openPostgres(config, context, lost, inboxRows, copies);
    own({ close: () => replication.client.end() });
    const { system, walsender } = await identify(replication.client);
    this.#walsender = walsender;
    this.#progress.begin(slot.confirmed);
    const { stream } = replication.client.connection;
    const reading = own(
      new ChangeReader({
        context,
        intake,
        progress: this.#progress,
        isBatch: changes.batch === "transaction",
        system,
        slot: changes.slot,
        againMs: Math.min(changeLimits.positionAgainMs, silentMs > 0 ? silentMs / 3 : changeLimits.positionAgainMs),
        send: (message) => replication.connection.sendCopyFromChunk(message),
        pause: () => stream.pause(),
        resume: () => stream.resume(),
        onMoved: () => this.#record.write(),
      }),
    );
    reader = reading;
    let isEnding = false;
    const { over } = await this.#begin(replication, (error) => isEnding || lost(error));
    await this.#record.begin();
    own({ close: heartbeat(context, config.heartbeat, () => this.#look(server, lost), lost) });
    this.#last = slot;
    const loop = own(new FetchLoop(intake, lost, (room) => reading.fetch(room)));
    return {
      end() {
        loop.close();
        intake.shut();
        reading.end();
        stream.resume();
        return loop.over;
      },
      flush: async () => {
        reading.tell();
        await this.#record.last();
        isEnding = true;
        replication.connection.endCopyFrom();
        await over;
      },
    };
  }

  /** The slot, created if it may be. Throws a CodedError. */
  async #slot(server: SlotServer): Promise<Slot> {
    const { slot: name, create } = this.#options.changes;
    const isKnown = await this.#record.read();
    let slot = await server.look();
    if (slot === undefined && isKnown) throw lostSlot(this.#peer, name, undefined);
    if (slot === undefined && create) {
      await server.create();
      slot = await server.look();
    }
    if (slot === undefined) throw missingSlot(this.#peer, name);
    if (this.#walsender !== undefined && slot.activePid === this.#walsender.pid) await server.end(this.#walsender);
    return slot;
  }

  /** Resolves once the server sends; `over` resolves with the end of its stream. */
  async #begin({ client, connection }: Opened, lost: (error: unknown) => void): Promise<{ readonly over: Promise<void> }> {
    const { publication, slot } = this.#options.changes;
    const names = pg.escapeLiteral(pg.escapeIdentifier(publication));
    const started = new Promise<void>((resolve) => connection.once("replicationStart", resolve));
    const running = client.query(
      `START_REPLICATION SLOT ${pg.escapeIdentifier(slot)} LOGICAL 0/0 (proto_version '1', publication_names ${names})`,
    );
    const over = running.then(() => lost(new Error("the server ended the stream of changes")), lost);
    await Promise.race([started, running]);
    return { over };
  }

  /** At each heartbeat. */
  async #look(server: SlotServer, lost: (error: unknown) => void): Promise<void> {
    const { slot: name } = this.#options.changes;
    const slot = await server.look().catch(lost);
    if (slot === undefined) return lost(lostSlot(this.#peer, name, undefined));
    this.#last = slot;
    this.#progress.kept(slot.confirmed);
    if (slot.activePid !== this.#walsender?.pid) return lost(new Error("the server has ended the stream of changes"));
    if (slot.isEndangered && !this.#isWarned) {
      const text = `slot ${name} keeps ${slot.keptBytes} bytes of the log at ${this.#peer}, more than max_slot_wal_keep_size: it is lost soon unless its messages end`;
      this.#options.context.logger.warn({ code: "MF_POSTGRES_SLOT_LOST", slot: name }, text);
    }
    this.#isWarned = slot.isEndangered;
  }
}

/** The server and its process, whose texts are made those of the query source. */
async function identify(client: pg.Client): Promise<{ readonly system: string; readonly walsender: Walsender }> {
  for (const setting of ["datestyle = 'ISO, YMD'", "timezone = 'UTC'", "intervalstyle = 'postgres'", "bytea_output = 'hex'"])
    await client.query(`set ${setting}`);
  await client.query("set extra_float_digits = 3");
  const { rows } = await client.query<{ readonly systemid: string }>("IDENTIFY_SYSTEM");
  const processes = await client.query<Walsender>(
    "select pid, backend_start::text as since from pg_stat_activity where pid = pg_backend_pid()",
  );
  const [found, walsender] = [rows[0], processes.rows[0]];
  if (found === undefined || walsender === undefined) throw new Error("the server does not say who it is");
  return { system: found.systemid, walsender };
}
