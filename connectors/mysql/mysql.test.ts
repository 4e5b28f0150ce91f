import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createPool, type RowDataPacket } from "mysql2/promise";
import { takesByBytes, longBody, messages } from "../testing/bytes.case.ts";
import { connectorCase } from "../testing/connector.case.ts";
import { privateMysql } from "../testing/mysql-server.ts";
import type { PrivateBroker } from "../testing/brokers.ts";
import { Proxy } from "../testing/proxy.ts";
import { setsAside } from "../testing/set-aside.case.ts";
import {
  attemptOf,
  aWhile,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  sendSurely,
  startOutlet,
  startSource,
  toldBy,
  uniqueName,
} from "../testing/rig.ts";
import type { Outcome } from "../../gateway/contract/message.ts";
import { mysqlSql, parseSql } from "../shared/sql.ts";
import { inboxTable, loadDriver, quoteTable } from "./client.ts";
import { mysqlOutlet } from "./outlet.ts";
import { mysqlSource } from "./source.ts";

const server = await privateMysql("--max-allowed-packet=8M");
const skip = typeof server === "string" ? server : undefined;
const broker = server as PrivateBroker;
const port = typeof server === "string" ? 1 : server.port;
const urlAt = (at: number, user = "root", database = "test"): string => `mysql://${user}@127.0.0.1:${at}/${database}`;
const url = urlAt(port);

const admin = createPool({ host: "127.0.0.1", port, user: "root", database: "test", connectionLimit: 4 });
const query = async (sql: string, values: readonly unknown[] = []): Promise<RowDataPacket[]> =>
  (await admin.query(sql, values as unknown[]))[0] as RowDataPacket[];
const make = async (table: string): Promise<void> => void (await query(inboxTable(quoteTable(table))));
const remove = async (table: string): Promise<void> => void (await query(`drop table if exists ${quoteTable(table)}`));
const insert = async (table: string, ...bodies: readonly (string | Buffer)[]): Promise<void> => {
  for (const body of bodies) await query(`insert into ${quoteTable(table)} (body) values (?)`, [Buffer.from(body)]);
};
const left = async (table: string): Promise<number> => (await query(`select id from ${quoteTable(table)} where done_at is null`)).length;

before(async () => {
  if (skip === undefined) await query("select 1");
});
after(async () => {
  await admin.end();
  if (typeof server !== "string") await server.remove();
});

if (skip === undefined)
  connectorCase({
    name: "mysql",
    source: mysqlSource,
    outlet: mysqlOutlet,
    broker,
    sourceConfig: (at, table) => ({ url: urlAt(at.port), table, poll: "20ms" }),
    outletConfig: (at, table) => ({ url: urlAt(at.port), table, connections: 1 }),
    make,
    remove,
    badLogin: { code: "MF_MYSQL_AUTH", change: { username: "nobody-here", password: "wrong-password" } },
    missing: { source: "MF_MYSQL_NO_TABLE", outlet: "MF_MYSQL_NO_TABLE" },
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: true,
    replies: false,
    largestBodyBytes: 2 ** 20,
    quickHeartbeat: { heartbeat: "300ms" },
    carriesId: true,
  });
else test("mysql", { skip }, () => {});

describe("mysql: the source", { skip, timeout: 60_000 }, () => {
  test("rows of one that died come after their lease; a lease is renewed while the gateway has the row", async () => {
    const table = uniqueName("lease");
    const config = { url, table, poll: "20ms", lease: "300ms", create: true };
    const holding = new PretendedGateway();
    holding.answer = holding.hold;
    const first = await startSource(mysqlSource, config, 16, holding);
    await query(
      `insert into ${quoteTable(table)} (body, claimed_by, claimed_until) values ('of the dead', 'dead', utc_timestamp(6) + interval 400000 microsecond)`,
    );
    await eventually("it", () => holding.received.length === 1);
    const second = await startSource(mysqlSource, config);
    for (let waits = 0; waits < 5; waits += 1) await aWhile();
    assert.equal(second.gateway.received.length, 0);
    holding.release();
    await first.source.stop();
    await second.source.stop();
    assert.equal((await query(`select * from ${quoteTable(table)}`)).length, 0);
    await remove(table);
  });

  test("two gateways at once never share a row; done: mark keeps rows, with the error of those given up", async () => {
    const table = uniqueName("mark");
    await make(table);
    const failure = { origin: "flow" as const, code: "MF_TEST", message: "no ".repeat(30_000), status: 0, retry: false };
    const dead: Outcome = { status: "dead", id: "1", failure, kept: true };
    const gateway = new PretendedGateway();
    gateway.answer = (incoming) => (Buffer.from(incoming.body).toString() === "7" ? dead : done(incoming));
    await query(`insert into ${quoteTable(table)} (body) select seq from seq_1_to_300`);
    const config = { url, table, poll: "20ms", done: "mark" };
    const sources = await Promise.all([1, 2, 3].map(() => startSource(mysqlSource, config, 4, gateway)));
    await eventually("all marked", async () => (await left(table)) === 0);
    for (const { source } of sources) await source.stop();
    assert.equal(gateway.received.length, 300);
    const failed = await query(`select body, left(error, 11) as error from ${quoteTable(table)} where error is not null`);
    assert.deepEqual(
      failed.map((row) => [String(row["body"]), row["error"]]),
      [["7", "MF_TEST: no"]],
    );
    await remove(table);
  });

  test("a transaction that holds rows locked, or has not committed yet, holds up no others", async () => {
    const table = uniqueName("locked");
    await make(table);
    await insert(table, "locked", "free");
    const holder = await admin.getConnection();
    await holder.query(`start transaction`);
    await holder.query(`select * from ${quoteTable(table)} where id = 1 for update`);
    await holder.query(`insert into ${quoteTable(table)} (body) values ('late')`);
    const { source, gateway } = await startSource(mysqlSource, { url, table, poll: "20ms" });
    await eventually("the free one", () => gateway.settled === 1);
    await insert(table, "behind");
    await eventually("the one behind", () => gateway.settled === 2);
    assert.deepEqual(gateway.texts(), ["free", "behind"]);
    await holder.query("commit");
    holder.release();
    await eventually("the rest", async () => (await left(table)) === 0);
    await source.stop();
    await remove(table);
  });

  test("rows that are no messages are marked and passed; a count at its end does not stop the table", async () => {
    const table = uniqueName("odd");
    await query(`create table ${quoteTable(table)} (id bigint auto_increment primary key, message_id varchar(99), \`key\` text, content_type text,
      correlation_id text, headers text, body text, created_at datetime(6), attempts integer, claimed_by varchar(64), claimed_until datetime(6),
      done_at datetime(6), error text)`);
    await query(`insert into ${quoteTable(table)} (body, attempts, headers) values
      (null, 0, '{}'), ('ä', 2147483647, '{}'), ('b', null, null), (null, null, '[1]'), ('c', 0, 'no json'), ('d', -1, '{"x": {"y": 1}, "z": null}')`);
    const { gateway, source, context } = await startSource(mysqlSource, { url, table, poll: "20ms" });
    await eventually("all came", () => gateway.settled === 4);
    assert.deepEqual(gateway.texts(), ["ä", "b", "c", "d"]);
    assert.equal(context.counts.get("unreadable"), 2);
    const marked = `select 1 from ${quoteTable(table)} where error like 'MF_MYSQL_ROW%' and done_at is not null`;
    await eventually("the rest is marked", async () => (await query(marked)).length === 2);
    assert.equal(source.health().ready, true);
    await source.stop();
    await remove(table);
  });

  test("ids that begin again after TRUNCATE are other messages", async () => {
    const table = uniqueName("again");
    await make(table);
    const ids: (string | undefined)[] = [];
    for (const round of ["one", "two"]) {
      await insert(table, round);
      const { gateway, source } = await startSource(mysqlSource, { url, table, poll: "20ms" });
      await eventually("it came", () => gateway.settled === 1);
      assert.equal(gateway.received[0]?.headers["mysql-id"], "1");
      ids.push(gateway.received[0]?.id);
      await source.stop();
      await query(`truncate ${quoteTable(table)}`);
    }
    assert.notEqual(ids[0], ids[1]);
    await remove(table);
  });

  test("no more long rows are in the process than there is memory for", async () => {
    const table = uniqueName("long");
    await make(table);
    for (let number = 0; number < 12; number += 1) await insert(table, Buffer.alloc(1)); // from these it expects short ones
    for (let number = 0; number < messages; number += 1) await insert(table, longBody(number));
    await takesByBytes(mysqlSource, { url, table, poll: "20ms" }, 1);
    assert.equal(await left(table), 0);
    await remove(table);
  });

  test("loses nothing, and keeps the order, when the server is killed and starts again", async () => {
    const own = await privateMysql();
    if (typeof own === "string") throw new Error(own);
    try {
      const config = { url: urlAt(own.port), table: "inbox", create: true };
      const { outlet } = await startOutlet(mysqlOutlet, { ...config, connections: 1 });
      const { source, gateway } = await startSource(mysqlSource, { ...config, poll: "20ms", done: "mark" }, 8);
      for (let number = 0; number < 60; number += 1) {
        if (number % 20 === 10) {
          await own.down("SIGKILL");
          await Promise.all([own.up(), sendSurely(outlet, outgoing(String(number)))]);
        } else await sendSurely(outlet, outgoing(String(number)));
      }
      const came = (): string[] => [...new Set(gateway.texts())];
      await eventually("all", () => came().length === 60, 30_000);
      assert.deepEqual(
        came(),
        Array.from({ length: 60 }, (_, number) => String(number)),
      );
      await source.stop();
      await outlet.stop();
    } finally {
      await own.remove();
    }
  });

  for (const ending of ["delete", "mark"])
    test(`a message whose acknowledgement ends the connection is set aside: ${ending}`, async () => {
      const table = `aside_${ending}`;
      await make(table);
      await setsAside(broker, {
        from: (at) => `mysql: { url: "${urlAt(at)}", table: ${table}, poll: 20ms, done: ${ending} }`,
        // COM_STMT_EXECUTE of the only statement whose last values are our name and "1".
        deadly: (bytes) => bytes[4] === 0x17 && /\$[0-9a-f-]{36}\x011$/.test(bytes.toString("latin1")),
        publish: (texts) => insert(table, ...texts),
        left: () => left(table),
      });
      await remove(table);
    });
});

describe("mysql: the outlet", { skip, timeout: 60_000 }, () => {
  test("SQL gets parameters, never text; a second attempt changes nothing; requests answer with rows", async () => {
    const table = uniqueName("orders");
    const quoted = quoteTable(table);
    await query(
      `create table ${quoted} (id varchar(99) primary key, name text, total decimal(9,2), paid boolean, tenant text, raw blob, at datetime(3), big bigint default 9007199254740993, note json)`,
    );
    const sql = `insert into ${quoted} (id, name, total, paid, tenant, raw, at, note) values ($id, $json.customer.name, $json.total, $json.paid, $header.x-tenant, $body, $time, '{"a": 1}') on duplicate key update total = values(total) + 1 - 1`;
    const { outlet } = await startOutlet(mysqlOutlet, { url, sql });
    const name = `Robert'); drop table ${quoted}; -- \\' "`;
    const message = outgoing(JSON.stringify({ customer: { name }, total: 12.5, paid: true }), { headers: { "x-tenant": "acme" } });
    const attempt = attemptOf();
    await outlet.send(message, attempt);
    await outlet.send(message, attempt);
    const asking = await startOutlet(mysqlOutlet, {
      url,
      sql: `select name, total, paid, tenant, raw, at, big, note, 5 as five, null as \`constructor\` from ${quoted} where tenant = $text`,
    });
    const answer = await asking.outlet.request!({ ...outgoing("acme"), method: "" }, attemptOf());
    assert.equal(answer.contentType, "application/json");
    assert.deepEqual(JSON.parse(Buffer.from(answer.body).toString()), [
      {
        name, total: "12.50", paid: 1, tenant: "acme", raw: Buffer.from(message.body).toString("base64"), at: "2025-06-15 15:06:40",
        big: "9007199254740993", note: { a: 1 }, five: 5, constructor: null,
      },
    ]); // biome-ignore format: one row
    await assert.rejects(outlet.send(outgoing(`{"total":"no number"}`), attemptOf()), { code: "MF_MYSQL_REFUSED", retryable: false });
    await outlet.stop();
    await asking.outlet.stop();
    await remove(table);
  });

  test("a row that an earlier attempt inserted is left; one that conflicts otherwise is refused, or updated with upsert", async () => {
    const table = uniqueName("columns");
    await query(`create table ${quoteTable(table)} (message_id varchar(99) unique, \`Order\` integer primary key, kind text)`);
    const columns = { message_id: "$id", Order: "$json.id", kind: "$type" };
    const { outlet } = await startOutlet(mysqlOutlet, { url, table, columns });
    const attempt = attemptOf("key-A");
    for (let times = 0; times < 2; times += 1) await outlet.send(outgoing(`{"id":7}`, { contentType: "first" }), attempt);
    const refusal = { code: "MF_MYSQL_REFUSED", retryable: false };
    await assert.rejects(outlet.send(outgoing(`{"id":7}`), attemptOf()), refusal, "another message's row");
    await assert.rejects(outlet.send(outgoing(`{"id":8}`), attemptOf("KEY-a")), refusal, "equal only to the collation");
    const rows = (): Promise<object[]> => query(`select * from ${quoteTable(table)}`);
    assert.deepEqual({ ...(await rows())[0] }, { message_id: "key-A", Order: 7, kind: "first" });
    await outlet.stop();
    const upsert = await startOutlet(mysqlOutlet, { url, table, columns, upsert: true });
    await upsert.outlet.send(outgoing(`{"id":7}`, { contentType: "second" }), attemptOf("key-B"));
    assert.deepEqual(
      (await rows()).map((row) => ({ ...row })),
      [{ message_id: "key-B", Order: 7, kind: "second" }],
    );
    await upsert.outlet.stop();
    await remove(table);
  });

  test("answers have a bound; a slow statement ends with its attempt; a message that is too long breaks no connection", async () => {
    const many = await startOutlet(mysqlOutlet, { url, sql: "select seq from seq_1_to_10001" });
    await assert.rejects(many.outlet.request!({ ...outgoing(""), method: "" }, attemptOf()), { code: "MF_ANSWER_LIMIT", retryable: false });
    await many.outlet.stop();
    const slow = await startOutlet(mysqlOutlet, { url, sql: "select sleep(0.5)", connections: 1, heartbeat: "5s" });
    await assert.rejects(slow.outlet.send(outgoing(""), attemptOf("slow", 50)), { code: "MF_OUTLET_TIMEOUT", retryable: true });
    await slow.outlet.send(outgoing(""), attemptOf());
    assert.equal(slow.outlet.health().ready, true);
    await slow.outlet.stop();
    const counted = await startOutlet(mysqlOutlet, { url, sql: "select length($body) as bytes", connections: 1 });
    await assert.rejects(counted.outlet.send(outgoing(Buffer.alloc(8 * 2 ** 20)), attemptOf()), {
      code: "MF_MYSQL_TOO_LARGE",
      retryable: false,
    });
    const fits = await counted.outlet.request!({ ...outgoing(Buffer.alloc(8 * 2 ** 20 - 2_048)), method: "" }, attemptOf());
    assert.equal(Buffer.from(fits.body).toString(), `[{"bytes":${8 * 2 ** 20 - 2_048}}]`);
    assert.equal(counted.context.counts.get("lost"), undefined);
    await counted.outlet.stop();
  });
});

test("mysql: a statement in progress ends with its connection", { skip, timeout: 60_000 }, async () => {
  const proxy = await Proxy.open(broker);
  const { outlet } = await startOutlet(mysqlOutlet, { url: urlAt(proxy.port), sql: "select sleep(3)", connections: 1 });
  const sending = outlet.send(outgoing(""), attemptOf("cut", 60_000));
  await aWhile();
  proxy.cut();
  await assert.rejects(sending, { code: "MF_CONNECTION_LOST", retryable: true });
  await outlet.stop();
  await proxy.close();
});

describe("mysql: codes", { skip, timeout: 60_000 }, () => {
  test("a database, table or column that is not there, and a user who may not", async () => {
    await query("create table short (id bigint)");
    await make("whole");
    for (const user of ["stranger", "reader", "late"]) await query(`create user ${user}@127.0.0.1`);
    await query("grant create on test.nothing to stranger@127.0.0.1");
    await query("grant all on test.* to late@127.0.0.1 with max_user_connections 1");
    const table = "whole";
    await toldBy(mysqlSource, { url: urlAt(port, "root", "nowhere"), table }, "MF_MYSQL_NO_DATABASE");
    await toldBy(mysqlSource, { url: urlAt(port, "root", ""), table }, "MF_MYSQL_NO_DATABASE");
    await toldBy(mysqlSource, { url: urlAt(port, "nobody"), table }, "MF_MYSQL_AUTH");
    await toldBy(mysqlSource, { url, table: "absent" }, "MF_MYSQL_NO_TABLE");
    await toldBy(mysqlSource, { url, table: "short" }, "MF_MYSQL_COLUMNS");
    await toldBy(mysqlSource, { url: urlAt(port, "reader"), table }, "MF_MYSQL_FORBIDDEN");
    await toldBy(mysqlSource, { url: urlAt(port, "stranger"), table }, "MF_MYSQL_FORBIDDEN");
    const stranger = await startSource(mysqlSource, { url: urlAt(port, "stranger"), table });
    assert.doesNotMatch(JSON.stringify([stranger.source.health(), stranger.context.lines]), /stranger/);
    await stranger.source.stop();
    await toldBy(mysqlSource, { url, table, tls: {} }, "MF_MYSQL_TLS");
    const only = await startSource(mysqlSource, { url: urlAt(port, "late"), table });
    const late = await startSource(mysqlSource, { url: urlAt(port, "late"), table });
    assert.match(late.source.health().detail, /^MF_MYSQL_UNAVAILABLE: (?!.*late)/);
    await late.source.stop();
    await only.source.stop();
    await query("create procedure refuse() signal sqlstate '45000' set message_text = 'no'");
    for (const [sql, code, retryable] of [
      ["call refuse()", "MF_MYSQL_FAILED", true],
      ["insert into short (id) values ($text)", "MF_MYSQL_REFUSED", false],
      ["select nothing from nowhere", "MF_MYSQL_NO_TABLE", true],
      ["select nothing from", "MF_MYSQL_FAILED", true],
    ] as const) {
      const { outlet } = await startOutlet(mysqlOutlet, { url, sql });
      await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code, retryable });
      await outlet.stop();
    }
  });
});

describe("mysql: without a server", () => {
  const questions: readonly (readonly [string, string])[] = [
    ["select $id, $body, $id", "select ?, ?, ?"],
    ["select '$id', \"$id\", `$id`, $id", "select '$id', \"$id\", `$id`, ?"],
    ["select 'it''s $id', '\\'$id', \"\\\"$id\", $key", "select 'it''s $id', '\\'$id', \"\\\"$id\", ?"],
    ["select 5--$id", "select 5--?"],
    ["select 1 -- $id ?\n, $id /* $key ? */ # $id", "select 1 -- $id ?\n, ? /* $key ? */ # $id"],
    ["select '?', $header.x-tenant", "select '?', ?"],
  ];
  for (const [sql, expected] of questions) test(sql, () => assert.equal(parseSql(sql, mysqlSql).text, expected));
  for (const sql of ["select ?", "select $1", "select $nothing"])
    test(`refuses ${sql}`, () => assert.throws(() => parseSql(sql, mysqlSql), { code: "MF_CONFIG_SQL" }));
  test("one value for each use of a name", () => {
    const { values } = parseSql("select $id, $json.a, $json.b, $id, $time", mysqlSql);
    assert.deepEqual(values(outgoing(`{"a":false,"b":1}`), "i"), ["i", "0", "1", "i", "2025-06-15 15:06:40.000"]);
  });

  test("a client that is not installed is named with the command that installs it; a url with options is refused", async () => {
    const absent = async (): Promise<never> => {
      throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
    };
    await assert.rejects(loadDriver(absent), { code: "MF_MYSQL_CLIENT", message: /npm install mysql2@3/ });
    await assert.rejects(startSource(mysqlSource, { url: "mysql://h/d?ssl=true", table: "t" }), { code: "MF_CONFIG_URL" });
  });
});
