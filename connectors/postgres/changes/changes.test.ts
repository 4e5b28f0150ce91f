/** Changes of tables from a real server: their content, their order, and every end that a stream can have. */
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { privatePostgres } from "../../testing/postgres-server.ts";
import { Proxy } from "../../testing/proxy.ts";
import { configured, done, eventually, PretendedGateway, refused, startSource, testContext, toldBy } from "../../testing/rig.ts";
import { suiteServer } from "../../testing/servers.ts";
import { postgresSource } from "../source.ts";

const { skip, broker, end } = await suiteServer(privatePostgres("wal_level=logical", "max_replication_slots=40", "max_wal_senders=40"));
const urlAt = (port: number, user = "postgres"): string => `postgres://${user}@127.0.0.1:${port}/postgres`;
const url = urlAt(broker.port);
const admin = new pg.Client({ connectionString: url });

interface Told {
  readonly op: string;
  readonly table: string;
  readonly key: Record<string, unknown>;
  readonly before?: Record<string, unknown>;
  readonly after?: Record<string, unknown>;
  readonly unchanged?: readonly string[];
  readonly lsn: string;
  readonly xid: number;
  readonly index: number;
}

const toldTo = (gateway: PretendedGateway): Told[] => gateway.texts().map((text) => JSON.parse(text) as Told);
let names = 0;

/** A table of its own, with its publication and its slot. */
async function fresh(columns = "id integer primary key, note text") {
  const table = `t${++names}`;
  await admin.query(`create table ${table} (${columns})`);
  const changes = { publication: `p_${table}`, slot: `s_${table}`, tables: [table], create: true };
  return { table, changes, config: { url, changes } };
}

const slotOf = async (slot: string) =>
  (
    await admin.query<{ confirmed_flush_lsn: string; active_pid: number | null }>(
      "select confirmed_flush_lsn, active_pid from pg_replication_slots where slot_name = $1",
      [slot],
    )
  ).rows[0];

/** The server has kept a position behind everything so far. */
const caughtUp = (slot: string) =>
  eventually("the position is kept", async () => {
    const { rows } = await admin.query(
      "select 1 from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn >= pg_current_wal_insert_lsn()",
      [slot],
    );
    return rows.length === 1;
  });

if (skip === undefined) before(() => admin.connect());
after(async () => {
  if (skip === undefined) await admin.end();
  await end();
});

/** A network whose connections can be forgotten: nothing passes any more, and the server does not hear that they are closed. */
async function forgetfulNetwork() {
  let forgotten = 0;
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const own = ++connections;
    const upstream = connect(broker.port, broker.host);
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on("data", (bytes) => own > forgotten && to.write(bytes));
      from.on("close", () => own > forgotten && to.destroy());
      from.on("error", () => undefined);
    } // biome-ignore format: a pair
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    forget: () => {
      forgotten = connections;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe("postgres: changes", { skip, timeout: 300_000 }, () => {
  test("each changed row is a message; a long value that did not change is named", async () => {
    const { table, config } = await fresh(
      `id bigint primary key, note text, amount numeric, at timestamptz, raw bytea, doc jsonb, ok boolean, n integer, f float8, list numeric[], big text, none text`,
    );
    await admin.query(`alter table ${table} alter big set storage external`);
    const { source, gateway } = await startSource(postgresSource, config);
    await admin.query(
      `insert into ${table} values (9007199254740993, 'é "x"', 12.50, '2026-01-02 03:04:05.678901+02', '\\x00ff', '{"a":12345678901234567890}', true, 7, 'NaN', '{1.10,null}', repeat('b', 10000), null)`,
    );
    await admin.query(`update ${table} set note = 'new' where id = 9007199254740993`);
    await admin.query(`delete from ${table}`);
    await admin.query(`truncate ${table} restart identity`);
    await eventually("all came", () => gateway.settled === 4);
    const key = { id: "9007199254740993" };
    const row = { ...key, note: `é "x"`, amount: "12.50", at: "2026-01-02 01:04:05.678901+00", raw: "\\x00ff", doc: { a: 12345678901234567890 }, ok: true, n: 7, f: "NaN", list: ["1.10", null], big: "b".repeat(10_000), none: null }; // biome-ignore format: a row
    const [insert, update, removal, truncate] = toldTo(gateway);
    assert.ok(gateway.texts()[0]?.includes("12345678901234567890"), "a number of JSON is as the server wrote it");
    assert.deepEqual(
      [insert?.op, insert?.table, insert?.key, insert?.before, insert?.after, insert?.unchanged],
      ["insert", table, key, undefined, row, undefined],
    );
    const { big: _, ...short } = row;
    assert.deepEqual(
      [update?.op, update?.after, update?.before, update?.unchanged],
      ["update", { ...short, note: "new" }, undefined, ["big"]],
    );
    assert.deepEqual([removal?.op, removal?.key, removal?.before, removal?.after], ["delete", key, key, undefined]);
    assert.deepEqual(
      [truncate?.op, truncate?.key, (truncate as unknown as { restartIdentity: boolean }).restartIdentity],
      ["truncate", {}, true],
    );
    const first = gateway.received[0];
    assert.equal(first?.key, `public.${table} {"id":"9007199254740993"}`);
    assert.equal(first?.headers["postgres-op"], "insert");
    assert.equal(first?.headers["postgres-lsn"], insert?.lsn);
    await source.stop();
  });

  test("an old row is its key, or whole with REPLICA IDENTITY FULL, which also has values that did not change", async () => {
    const { table, config } = await fresh();
    const whole = await fresh("id integer, big text");
    await admin.query(`alter table ${whole.table} replica identity full; alter table ${whole.table} alter big set storage external`);
    const keyless = await fresh("id integer");
    const started = [
      await startSource(postgresSource, config),
      await startSource(postgresSource, whole.config),
      await startSource(postgresSource, keyless.config),
    ];
    await admin.query(`insert into ${table} values (1, 'a'); update ${table} set id = 2`);
    await admin.query(`insert into ${whole.table} values (1, repeat('b', 10000)); update ${whole.table} set id = 2`);
    await admin.query(`insert into ${keyless.table} values (1)`);
    await eventually("all came", () => started.every(({ gateway }, at) => gateway.settled === [2, 2, 1][at]));
    const [, moved] = toldTo(started[0]?.gateway as PretendedGateway);
    assert.deepEqual([moved?.key, moved?.before, moved?.after], [{ id: 2 }, { id: 1 }, { id: 2, note: "a" }]);
    const big = "b".repeat(10_000);
    const [, updated] = toldTo(started[1]?.gateway as PretendedGateway);
    assert.deepEqual([updated?.key, updated?.before, updated?.after, updated?.unchanged], [{}, { id: 1, big }, { id: 2, big }, undefined]);
    assert.equal(started[1]?.gateway.received[1]?.key, `public.${whole.table}`);
    assert.deepEqual(toldTo(started[2]?.gateway as PretendedGateway)[0]?.key, {});
    for (const { source } of started) await source.stop();
  });

  test("a table that is altered in midstream: each row has the columns of its time", async () => {
    const { table, config } = await fresh();
    const { source, gateway } = await startSource(postgresSource, config);
    await admin.query(`insert into ${table} values (1, 'a')`);
    await admin.query(`begin; alter table ${table} add extra integer default 5; insert into ${table} values (2, 'b', 6); commit`);
    await admin.query(`alter table ${table} drop note; alter table ${table} rename extra to more; insert into ${table} values (3, 7)`);
    await eventually("all came", () => gateway.settled === 3);
    const rows = toldTo(gateway).map(({ after: row }) => row);
    assert.deepEqual(rows, [{ id: 1, note: "a" }, { id: 2, note: "b", extra: 6 }, { id: 3, more: 7 }]); // biome-ignore format: rows
    await source.stop();
  });

  test("the position moves only over what has ended, and the server is told it in time while nothing ends", async () => {
    const { table, changes } = await fresh();
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    await admin.query("create role hurried login superuser; alter role hurried set wal_sender_timeout = '3s'");
    const { source } = await startSource(postgresSource, { url: urlAt(broker.port, "hurried"), changes }, 4, gateway);
    const before = await slotOf(changes.slot);
    await admin.query(`insert into ${table} select n, repeat('x', 1000) from generate_series(1, 50000) n`);
    await admin.query(`insert into ${table} values (0)`);
    await eventually("some came", () => gateway.received.length === 4);
    // Twice wal_sender_timeout, by the server's clock.
    const since = (await admin.query<{ now: string }>("select now()::text as now")).rows[0]?.now;
    await eventually(
      "the server still hears of us",
      async () => {
        const sql = "select 1 from pg_stat_replication where pid = $1 and reply_time > $2::timestamptz + interval '6 s'";
        return (await admin.query(sql, [before?.active_pid, since])).rows.length === 1;
      },
      30_000,
    );
    assert.equal(gateway.received.length, 4);
    const commit = toldTo(gateway)[0]?.lsn;
    const passed = "select 1 from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn >= $2::pg_lsn";
    assert.equal((await admin.query(passed, [changes.slot, commit])).rows.length, 0, "the position is before the commit");
    gateway.answer = done;
    gateway.release();
    await eventually("all came", () => gateway.settled === 50_001, 60_000);
    await caughtUp(changes.slot);
    assert.deepEqual(toldTo(gateway).map(({ key }) => key["id"]), [...Array.from({ length: 50_000 }, (_, at) => at + 1), 0]); // biome-ignore format: one check
    assert.equal((await slotOf(changes.slot))?.active_pid, before?.active_pid, "over one connection");
    await source.stop();
  });

  test("changes of other tables move the position too: they need not be kept for this slot", async () => {
    const { changes, config } = await fresh();
    const other = await fresh();
    const { source, gateway } = await startSource(postgresSource, config);
    await admin.query(`insert into ${other.table} select n from generate_series(1, 1000) n`);
    await caughtUp(changes.slot);
    assert.equal(gateway.received.length, 0);
    assert.match(source.health().detail, /^connected to postgres:.* \d+ bytes behind; slot s_t\d+ keeps \d+ bytes of the log$/);
    await source.stop();
    assert.equal((await slotOf(changes.slot))?.active_pid, null);
  });

  test("100,000 rows of one transaction whose connection is ended by the server: what has ended does not come again", async () => {
    const { table, changes, config } = await fresh();
    const gateway = new PretendedGateway();
    let ended = 0;
    gateway.answer = async (incoming, count) => {
      if (count % 10_000 === 0 && ended < 2) {
        const pid = (await slotOf(changes.slot))?.active_pid;
        if (typeof pid === "number") ended += (await admin.query("select pg_terminate_backend($1)", [pid])).rowCount ?? 0;
      }
      return done(incoming);
    };
    const { source } = await startSource(postgresSource, config, 64, gateway);
    await admin.query(`insert into ${table} select n, repeat('x', 500) from generate_series(1, 100000) n`);
    const ids = new Set<string | undefined>();
    let seen = 0;
    await eventually("all came", () => {
      for (; seen < gateway.received.length; seen += 1) ids.add(gateway.received[seen]?.id);
      return ids.size === 100_000 && gateway.settled === gateway.received.length;
    }, 90_000); // biome-ignore format: the bound
    assert.equal(ended, 2, "the server ended the connection");
    assert.ok(gateway.received.length <= 100_000 + ended * 64, `${gateway.received.length} came`);
    await caughtUp(changes.slot);
    await source.stop();
  });

  test("messages that end at once do not keep the process from its other work", async () => {
    const { table, config } = await fresh();
    const gateway = new PretendedGateway();
    let [inTurn, most] = [0, 0];
    gateway.answer = (incoming) => {
      most = Math.max(most, ++inTurn);
      return done(incoming);
    };
    const turn = (): void => {
      inTurn = 0;
      if (gateway.settled < 20_000) setImmediate(turn);
    };
    const { source } = await startSource(postgresSource, config, 16, gateway);
    turn();
    await admin.query(`insert into ${table} select n from generate_series(1, 20000) n`);
    await eventually("all came", () => gateway.settled === 20_000, 60_000);
    assert.ok(most <= 64, `${most} messages in one turn of the event loop`);
    await source.stop();
  });

  test("after a clean stop a long transaction goes on within; after one without a journal it comes again with the same ids", async () => {
    const { table, config } = await fresh();
    const facts = new Map<string, string>();
    const recall = {
      read: async (name: string) => facts.get(name),
      write: async (name: string, fact: string) => void facts.set(name, fact),
    };
    const lives: PretendedGateway[] = [];
    for (const more of [{ recall }, { recall }, {}]) {
      const gateway = new PretendedGateway();
      lives.push(gateway);
      gateway.answer = (incoming, count) => (count > 10 && lives.length < 3 ? refused(60_000) : done(incoming));
      const source = postgresSource.create(configured(postgresSource, config), { ...testContext(4), ...more });
      await source.start(gateway.accept);
      if (lives.length === 1) await admin.query(`insert into ${table} select n from generate_series(1, 30) n`);
      await eventually("ten ended", () => gateway.settled > 10);
      if (lives.length === 3) await eventually("all ended", () => gateway.settled === 30);
      await source.stop();
    }
    const ids = lives.map((gateway) => toldTo(gateway).map(({ key }) => key["id"]));
    const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);
    assert.deepEqual(ids[0]?.slice(0, 10), numbers(1, 10));
    assert.deepEqual(ids[1]?.slice(0, 10), numbers(11, 20));
    assert.deepEqual(ids[2], numbers(1, 30));
    assert.deepEqual(lives[2]?.received.slice(10, 20).map(({ id }) => id), lives[1]?.received.slice(0, 10).map(({ id }) => id)); // biome-ignore format: one check
  });

  test("a connection that is cut again and again: all rows, in order", async () => {
    const { table, changes } = await fresh();
    const proxy = await Proxy.open(broker);
    const { source, gateway } = await startSource(postgresSource, { url: urlAt(proxy.port), heartbeat: "1s", changes });
    for (let round = 0; round < 20; round += 1) {
      await admin.query(`insert into ${table} select n from generate_series(${round * 50 + 1}, ${round * 50 + 50}) n`);
      if (round % 4 !== 3) continue;
      await eventually("some came", () => gateway.received.length > round * 40);
      proxy.cut();
    }
    await eventually("all came", () => new Set(gateway.received.map(({ id }) => id)).size === 1_000, 60_000);
    const first = [...new Set(toldTo(gateway).map(({ key }) => key["id"]))];
    assert.deepEqual(
      first,
      Array.from({ length: 1_000 }, (_, at) => at + 1),
    );
    await caughtUp(changes.slot);
    await source.stop();
    await proxy.close();
  });

  test("of two sources one reads, the other waits and takes over", async () => {
    const { table, config } = await fresh();
    const first = await startSource(postgresSource, config);
    const second = await startSource(postgresSource, config);
    await eventually("it waits", () => second.source.health().detail.startsWith("MF_POSTGRES_SLOT_IN_USE"));
    await admin.query(`insert into ${table} values (1)`);
    await eventually("the first has it", () => first.gateway.settled === 1);
    await first.source.stop();
    await admin.query(`insert into ${table} values (2)`);
    await eventually("the second has the next", () => second.gateway.settled === 1);
    assert.deepEqual(toldTo(second.gateway)[0]?.key, { id: 2 });
    await second.source.stop();
  });

  test("a connection that only the server takes to be open does not keep its own source away", async () => {
    const { table, changes } = await fresh();
    await admin.query("create role silent login superuser; alter role silent set wal_sender_timeout = 0");
    const network = await forgetfulNetwork();
    const { source, gateway } = await startSource(postgresSource, { url: urlAt(network.port, "silent"), heartbeat: "200ms", changes });
    const pid = (await slotOf(changes.slot))?.active_pid;
    network.forget();
    await eventually("the loss is noticed", () => !source.health().ready);
    await admin.query(`insert into ${table} values (1)`);
    await eventually("it came", () => gateway.settled === 1);
    assert.notEqual((await slotOf(changes.slot))?.active_pid, pid);
    await source.stop();
    network.close();
  });

  test("a changed key and a truncate are alone: behind what came before, and before what comes after", async () => {
    const { table, config } = await fresh();
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const { source } = await startSource(postgresSource, config, 16, gateway);
    await admin.query(`insert into ${table} values (1), (2); update ${table} set id = 3 where id = 1; insert into ${table} values (1)`);
    await admin.query(`truncate ${table}; insert into ${table} values (4), (5)`);
    for (const expected of [2, 3, 4, 5, 7]) {
      await eventually(`${expected} came`, () => gateway.received.length === expected);
      gateway.release();
    }
    await eventually("all ended", () => gateway.settled === 7);
    assert.deepEqual(toldTo(gateway).map(({ op }) => op).join(" "), "insert insert update insert truncate insert insert"); // biome-ignore format: one check
    await source.stop();
  });

  test("a transaction as one message, a long one in parts", async () => {
    const { table, changes } = await fresh();
    const { source, gateway } = await startSource(postgresSource, { url, changes: { ...changes, batch: "transaction" } });
    await admin.query(`begin; insert into ${table} values (1), (2); delete from ${table} where id = 1; commit`);
    await admin.query(`insert into ${table} select n, repeat('x', 100) from generate_series(10, 25009) n`);
    await eventually("all came", () => gateway.settled === 4);
    const parts = gateway.texts().map((text) => JSON.parse(text) as { part: number; isLast: boolean; changes: Told[] });
    assert.deepEqual(parts.map(({ part, isLast }) => [part, isLast]), [[0, true], [0, false], [1, false], [2, true]]); // biome-ignore format: rows
    assert.deepEqual(parts[0]?.changes.map(({ op, key }) => [op, key["id"]]), [["insert", 1], ["insert", 2], ["delete", 1]]); // biome-ignore format: rows
    assert.deepEqual(parts.slice(1).flatMap((part) => part.changes.map(({ key }) => key["id"])), Array.from({ length: 25_000 }, (_, at) => at + 10)); // biome-ignore format: one check
    assert.equal(gateway.received[0]?.key, changes.slot);
    await caughtUp(changes.slot);
    await source.stop();
  });

  test("a change that is too long is a dead letter that names it, and those behind it go on", async () => {
    const { table, changes, config } = await fresh();
    const { source, gateway, context } = await startSource(postgresSource, config);
    await admin.query(`insert into ${table} values (1, repeat('x', 17 * 1024 * 1024)), (2, 'short')`);
    await eventually("both came", () => gateway.settled === 2);
    const [long, short] = gateway.received;
    assert.equal(long?.setAside?.code, "MF_POSTGRES_CHANGE");
    const told = toldTo(gateway)[0] as Told & { readonly bytes: number };
    assert.deepEqual([told.op, told.table, told.after], ["insert", table, undefined]);
    assert.ok(told.bytes > 17 * 2 ** 20);
    assert.equal(short?.setAside, undefined);
    assert.equal(context.counts.get("unreadable"), 1);
    await caughtUp(changes.slot);
    await source.stop();
  });

  test("paused it takes nothing; what is refused is offered again in its place", async () => {
    const { table, changes, config } = await fresh();
    const gateway = new PretendedGateway();
    gateway.answer = (incoming, count) => (count % 3 === 0 ? refused() : done(incoming));
    const { source } = await startSource(postgresSource, config, 1, gateway);
    source.pause?.();
    await admin.query(`insert into ${table} select n from generate_series(1, 20) n`);
    const end = (await admin.query<{ at: string }>("select pg_current_wal_insert_lsn() as at")).rows[0]?.at;
    const sent =
      "select 1 from pg_stat_replication where pid = (select active_pid from pg_replication_slots where slot_name = $1) and sent_lsn >= $2::pg_lsn";
    await eventually("all was sent", async () => (await admin.query(sent, [changes.slot, end])).rows.length === 1);
    assert.equal(gateway.received.length, 0);
    source.resume?.();
    await eventually("all came", () => new Set(gateway.received.map(({ id }) => id)).size === 20);
    assert.deepEqual(
      [...new Set(toldTo(gateway).map(({ key }) => key["id"]))],
      Array.from({ length: 20 }, (_, at) => at + 1),
    );
    await source.stop();
  });
});

describe("postgres: changes that can't be read", { skip, timeout: 120_000 }, () => {
  test("each reason is told", async () => {
    const { table, changes } = await fresh();
    const told = (more: object, code: string, user = "postgres"): Promise<void> =>
      toldBy(postgresSource, { url: urlAt(broker.port, user), changes: { ...changes, ...more } }, code);
    await told({ create: false }, "MF_POSTGRES_NO_PUBLICATION");
    await told({ tables: ["absent"] }, "MF_POSTGRES_NO_TABLE");
    await admin.query(`create publication ${changes.publication} for table ${table}; create table apart (id integer primary key)`);
    await told({ tables: [table, "apart"] }, "MF_POSTGRES_NO_PUBLICATION");
    await told({ create: false }, "MF_POSTGRES_NO_SLOT");
    await admin.query("create role plain login");
    await told({}, "MF_POSTGRES_REPLICATION", "plain");
    await admin.query("select pg_create_physical_replication_slot('physical')");
    await told({ slot: "physical" }, "MF_POSTGRES_SLOT");
  });
});
