import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { connectorCase } from "../testing/connector.case.ts";
import type { Outcome } from "../../gateway/contract/message.ts";
import { postgresOutlet } from "./outlet.ts";
import { postgresSource } from "./source.ts";
import { inboxTable, quoteTable } from "./client.ts";
import { parseSql, postgresSql } from "../shared/sql.ts";
import type { BrokerAddress } from "../testing/brokers.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { attemptOf, aWhile, eventually, outgoing, PretendedGateway, startOutlet, startSource, uniqueName } from "../testing/rig.ts";

const server = await privatePostgres();
const skip = typeof server === "string" ? server : undefined;
const broker: BrokerAddress = typeof server === "string" ? { host: "127.0.0.1", port: 0 } : server;
const url = `postgres://postgres@${broker.host}:${broker.port}/postgres`;

const admin = new pg.Client({ connectionString: url });
const make = async (table: string): Promise<void> => void (await admin.query(inboxTable(quoteTable(table))));
const remove = async (table: string): Promise<void> => void (await admin.query(`drop table if exists ${quoteTable(table)}`));

if (skip === undefined) {
  before(() => admin.connect());
  after(async () => {
    await admin.end();
    if (typeof server !== "string") await server.remove();
  });

  connectorCase({
    name: "postgres",
    source: postgresSource,
    outlet: postgresOutlet,
    broker,
    sourceConfig: (at, table) => ({ url: `postgres://postgres@${at.host}:${at.port}/postgres`, table, poll: "20ms" }),
    outletConfig: (at, table) => ({ url: `postgres://postgres@${at.host}:${at.port}/postgres`, table, connections: 1 }),
    make,
    remove,
    badLogin: { code: "MF_POSTGRES_AUTH", change: { username: "nobody-here", password: "wrong-password" } },
    missing: { source: "MF_POSTGRES_NO_TABLE", outlet: "MF_POSTGRES_NO_TABLE" },
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: true,
    replies: false,
    largestBodyBytes: 2 ** 20,
    quickHeartbeat: { heartbeat: "300ms" },
    carriesId: true,
  });
} else test("postgres", { skip }, () => {});

describe("postgres: the source", { skip, timeout: 60_000 }, () => {
  test("a NOTIFY is a hint that makes it look at once; rows of one that died come after their lease", async () => {
    const table = uniqueName("hint");
    const shared = { url, table, notify: table.slice(0, 60) };
    const { source, gateway } = await startSource(postgresSource, { ...shared, poll: "1h", create: true });
    const { outlet } = await startOutlet(postgresOutlet, shared);
    await aWhile(); // it has looked and found nothing
    await outlet.send(outgoing("x"), attemptOf());
    await eventually("it", () => gateway.received.length === 1);
    await source.stop();
    await admin.query(
      `insert into ${quoteTable(table)} (body, claimed_by, claimed_until) values ('of the dead', 'dead', now() + interval '400 ms')`,
    );
    const next = await startSource(postgresSource, { ...shared, poll: "20ms" });
    await eventually("the dead one's", () => next.gateway.texts().includes("of the dead"));
    await next.source.stop();
    await outlet.stop();
    await remove(table);
  });

  test("a lease is renewed while the gateway has the row: nobody else gets it", async () => {
    const table = uniqueName("lease");
    const config = { url, table, poll: "20ms", lease: "300ms", create: true };
    const holding = new PretendedGateway();
    holding.answer = holding.hold;
    const first = await startSource(postgresSource, config, 16, holding);
    await admin.query(`insert into ${quoteTable(table)} (body) values ('x')`);
    await eventually("it", () => holding.received.length === 1);
    const second = await startSource(postgresSource, config);
    for (let waits = 0; waits < 5; waits += 1) await aWhile();
    assert.equal(second.gateway.received.length, 0);
    holding.release();
    await first.source.stop();
    await second.source.stop();
    assert.equal((await admin.query(`select * from ${quoteTable(table)}`)).rowCount, 0);
    await remove(table);
  });

  test("done: mark keeps rows, with the error of those given up; two sources never share a row", async () => {
    const table = uniqueName("mark");
    const dead: Outcome = {
      status: "dead",
      id: "1",
      failure: { origin: "flow", code: "MF_TEST", message: "no", status: 0, retry: false },
      kept: true,
    };
    const config = { url, table, poll: "20ms", done: "mark", create: true };
    const gateway = new PretendedGateway();
    gateway.answer = (incoming) => (Buffer.from(incoming.body).toString() === "7" ? dead : { status: "done", id: "x", reply: undefined });
    const sources = [await startSource(postgresSource, config, 4, gateway), await startSource(postgresSource, config, 4, gateway)];
    await admin.query(`insert into ${quoteTable(table)} (body) select n::text::bytea from generate_series(1, 100) n`);
    await eventually(
      "all marked",
      async () => (await admin.query(`select 1 from ${quoteTable(table)} where done_at is null`)).rowCount === 0,
    );
    for (const { source } of sources) await source.stop();
    assert.equal(gateway.received.length, 100);
    const { rows } = await admin.query<{ body: Buffer; error: string }>(
      `select body, error from ${quoteTable(table)} where error is not null`,
    );
    assert.deepEqual(
      rows.map(({ body, error }) => [body.toString(), error]),
      [["7", "MF_TEST: no"]],
    );
    await remove(table);
  });
});

describe("postgres: the outlet", { skip, timeout: 60_000 }, () => {
  test("SQL gets parameters, never text; a second attempt changes nothing; requests answer with rows", async () => {
    const table = uniqueName("orders");
    const quoted = quoteTable(table);
    await admin.query(
      `create table ${quoted} (id text primary key, name text, total numeric, tenant text, raw bytea, big bigint default 9007199254740993)`,
    );
    const sql = `insert into ${quoted} (id, name, total, tenant, raw) values ($id, $json.customer.name, $json.total, $header.x-tenant, $body) on conflict (id) do nothing`;
    const { outlet } = await startOutlet(postgresOutlet, { url, sql });
    const name = `Robert'); drop table ${quoted}; --`;
    const message = outgoing(JSON.stringify({ customer: { name }, total: 12.5 }), { headers: { "x-tenant": "acme" } });
    const attempt = attemptOf();
    await outlet.send(message, attempt);
    await outlet.send(message, attempt);
    const asking = await startOutlet(postgresOutlet, {
      url,
      sql: `select name, total, tenant, raw, big, true as yes, 5 as five from ${quoted} where tenant = $text`,
    });
    const answer = await asking.outlet.request!({ ...outgoing("acme"), method: "" }, attemptOf());
    assert.equal(answer.contentType, "application/json");
    const raw = `\\x${Buffer.from(message.body).toString("hex")}`;
    assert.deepEqual(JSON.parse(Buffer.from(answer.body).toString()), [
      { name, total: "12.5", tenant: "acme", raw, big: "9007199254740993", yes: true, five: 5 },
    ]);
    await assert.rejects(outlet.send(outgoing(`{"total":"no number"}`), attemptOf()), { code: "MF_POSTGRES_REFUSED", retryable: false });
    await outlet.stop();
    await asking.outlet.stop();
    await remove(table);
  });

  test("columns map a message to a table; answers have a bound; a slow statement ends with its attempt", async () => {
    const table = uniqueName("columns");
    await admin.query(`create table ${quoteTable(table)} (message_id text unique, "Order" integer, kind text)`);
    const columns = { message_id: "$id", Order: "$json.id", kind: "$type" };
    const { outlet } = await startOutlet(postgresOutlet, { url, table, columns });
    const attempt = attemptOf();
    for (let times = 0; times < 2; times += 1) await outlet.send(outgoing(`{"id":7}`, { contentType: "application/json" }), attempt);
    const { rows } = await admin.query(`select * from ${quoteTable(table)}`);
    assert.deepEqual(rows, [{ message_id: attempt.idempotencyKey, Order: 7, kind: "application/json" }]);
    await outlet.stop();
    await remove(table);

    const many = await startOutlet(postgresOutlet, { url, sql: "select n from generate_series(1, 10001) n" });
    await assert.rejects(many.outlet.request!({ ...outgoing(""), method: "" }, attemptOf()), {
      code: "MF_ANSWER_LIMIT",
      retryable: false,
    });
    await many.outlet.stop();
    const slow = await startOutlet(postgresOutlet, { url, sql: "select pg_sleep(0.5)", connections: 1, heartbeat: "5s" });
    await assert.rejects(slow.outlet.send(outgoing(""), attemptOf("slow", 50)), { code: "MF_OUTLET_TIMEOUT", retryable: true });
    await slow.outlet.send(outgoing(""), attemptOf());
    assert.equal(slow.outlet.health().ready, true);
    await slow.outlet.stop();
  });
});

describe("postgres: named parameters", () => {
  const numbered: readonly (readonly [string, string])[] = [
    ["select $id, $body, $id", "select $1, $2, $1"],
    ["select '$id', \"$id\", $id", "select '$id', \"$id\", $1"],
    ["select 'it''s $id', e'\\'$id', $key", "select 'it''s $id', e'\\'$id', $1"],
    ["select $$ $id $$, $tag$ $id $$ $tag$, $id", "select $$ $id $$, $tag$ $id $$ $tag$, $1"],
    ["select 1 -- $id\n, $id /* $key */", "select 1 -- $id\n, $1 /* $key */"],
    ["select $header.x-tenant, $json.a.b", "select $1, $2"],
  ];
  for (const [sql, expected] of numbered) test(sql, () => assert.equal(parseSql(sql, postgresSql).text, expected));
  for (const sql of ["select $1", "select $nothing", "select $header", "select $constructor"]) {
    test(`refuses ${sql}`, () => assert.throws(() => parseSql(sql, postgresSql), { code: "MF_CONFIG_SQL" }));
  }
  test("what is absent is null", () => {
    const { values } = parseSql("select $key, $json.a, $json.b.c, $header.none, $json.list", postgresSql);
    assert.deepEqual(values(outgoing(`{"a":false,"b":1,"list":[1]}`), "i"), [null, "false", null, null, "[1]"]);
  });
});
