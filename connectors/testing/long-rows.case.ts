/** Rows that are too long, for sources and outlets of every SQL server: they harm nobody but who asked for them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OutletDefinition } from "../../gateway/contract/outlet.ts";
import type { SourceDefinition } from "../../gateway/contract/source.ts";
import type { Address } from "./pair.ts";
import { Proxy } from "./proxy.ts";
import { attemptOf, aWhile, configured, done, eventually, outgoing, PretendedGateway, startOutlet, startSource, testContext, uniqueName } from "./rig.ts"; // biome-ignore format: one list

export interface LongRowsCase {
  readonly name: string;
  readonly skip: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly source: SourceDefinition<any>;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly outlet: OutletDefinition<any>;
  readonly broker: Address;
  readonly urlAt: (port: number) => string;
  readonly run: (sql: string) => Promise<unknown>;
  /** Types of long texts and bytes. */
  readonly text: string;
  readonly bytes: string;
  readonly json: string;
  /** Depth of JSON that the server takes. */
  readonly depthOfServer: number;
}

const mib = 2 ** 20;

export function longRowsCase({
  name,
  skip,
  source: definition,
  outlet,
  broker,
  urlAt,
  run,
  text,
  bytes,
  json,
  depthOfServer,
}: LongRowsCase): void {
  const newTable = async (columns: string): Promise<string> => {
    const table = uniqueName("long").toLowerCase().replaceAll("-", "_");
    await run(`create table ${table} (${columns})`);
    return table;
  };
  const idsOf = ({ received }: PretendedGateway): number[] =>
    received.map(({ body }) => (JSON.parse(Buffer.from(body).toString()) as { id: number }).id);
  const reading = (more: object, gateway = new PretendedGateway(), port = broker.port) => {
    const context = testContext(16);
    const source = definition.create(configured(definition, { url: urlAt(port), poll: "20ms", late: "50ms", ...more }), context);
    return { gateway, context, source, start: () => source.start(gateway.accept) };
  };

  describe(`${name}: long rows`, { skip, timeout: 300_000 }, () => {
    test("a row that is too long is not held as it comes", async () => {
      const { outlet: started } = await startOutlet(outlet, { url: urlAt(broker.port), connections: 1 });
      const before = process.memoryUsage().arrayBuffers;
      let most = 0;
      const looking = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 2);
      await started.send(outgoing(JSON.stringify({ sql: `select repeat('x', ${250 * mib}) as x` })), attemptOf(undefined, 60_000));
      clearInterval(looking);
      assert.ok(most < 200 * mib, `${most} bytes were held`);
      await started.stop();
    });

    test("a row that is too long is left out and logged once; those before, between and behind it come", async () => {
      const table = await newTable(`id int primary key, one ${text}, two ${text}, three ${bytes}`);
      await run(`insert into ${table} (id, one) values (1, 'a'), (3, 'b'), (5, 'c'), (6, 'd')`);
      await run(
        `insert into ${table} (id, one, two) values (2, repeat('x', ${9 * mib}), repeat('y', ${9 * mib})), (4, repeat('z', ${40 * mib}), '')`,
      );
      await run(`insert into ${table} (id, one) values (7, repeat('"', ${5 * mib}))`);
      await run(`insert into ${table} (id, one) values (8, repeat('x', ${17 * mib}))`);
      const { gateway, context, source, start } = reading({ table, cursor: "id" });
      await start();
      await eventually("the others came", () => gateway.settled === 5, 60_000);
      await eventually("all are counted", () => context.counts.get("unreadable") === 3);
      await run(`insert into ${table} (id, one) values (9, 'e')`);
      await eventually("a new one came", () => gateway.settled === 6);
      await aWhile();
      assert.deepEqual(idsOf(gateway), [1, 3, 5, 6, 7, 9]);
      const told = context.lines.filter(({ fields }) => fields["code"] === "MF_SQL_ROW").map(({ fields }) => fields["row"]);
      assert.deepEqual(told, ["2", "4", "8"]);
      assert.equal(source.health().ready, true);
      await source.stop();
    });

    test("JSON that is nested too deeply is left out of a source, refused in an answer and as a parameter", async () => {
      const deep = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
      const table = await newTable(`id int primary key, doc ${json}`);
      for (const [id, depth] of [[1, 1], [2, depthOfServer], [3, 1]] as const) await run(`insert into ${table} values (${id}, '${deep(depth)}')`); // biome-ignore format: one list
      if (depthOfServer > 5_000) {
        const { gateway, context, source, start } = reading({ table, cursor: "id" });
        await start();
        await eventually("the others came", () => gateway.settled === 2);
        assert.deepEqual(idsOf(gateway), [1, 3]);
        assert.equal(context.counts.get("unreadable"), 1);
        await source.stop();
      }
      const { outlet: started, context } = await startOutlet(outlet, { url: urlAt(broker.port), connections: 1 });
      const ask = async (body: object | string): Promise<unknown> =>
        await started.request?.({ ...outgoing(typeof body === "string" ? body : JSON.stringify(body)), method: "" }, attemptOf());
      if (depthOfServer > 5_000) await assert.rejects(ask({ sql: `select * from ${table}` }), { code: "MF_ANSWER_LIMIT" });
      const given = `{"sql":"select $x as x","params":{"x":${deep(20_000)}}}`;
      await assert.rejects(ask(given), { code: "MF_SQL_VALUE", retryable: false });
      const own = await startOutlet(outlet, { url: urlAt(broker.port), sql: "select $json.x" });
      await assert.rejects(own.outlet.send(outgoing(`{"x":${deep(20_000)}}`), attemptOf()), { code: "MF_SQL_VALUE", retryable: false });
      assert.equal(context.counts.get("lost"), undefined);
      await started.stop();
      await own.outlet.stop();
    });

    test("no more of a page is read than is held, also where all rows have one value", async () => {
      const table = await newTable(`id int primary key, grows int, one ${text}`);
      for (let id = 1; id <= 30; id += 1) await run(`insert into ${table} values (${id}, ${id <= 15 ? id : 99}, repeat('x', ${mib}))`);
      const proxy = await Proxy.open(broker);
      const gateway = new PretendedGateway();
      gateway.answer = gateway.hold;
      const { source, start } = reading({ table, cursor: "grows", prefetch: 1 }, gateway, proxy.port);
      await start();
      await eventually("one came", () => gateway.received.length === 1, 60_000);
      await aWhile();
      assert.ok(proxy.down < 6 * mib, `${proxy.down} bytes for a page of ${4 * mib}`);
      gateway.answer = done;
      gateway.release();
      await eventually("all came", () => gateway.settled === 30, 60_000);
      assert.equal(new Set(idsOf(gateway)).size, 30);
      await source.stop();
      await proxy.close();
    });

    test("a value of the column that is too long is told", async () => {
      const table = await newTable(`id int primary key, grows ${text}`);
      await run(`insert into ${table} values (1, repeat('x', 3000))`);
      const { context, source, start } = reading({ table, cursor: "grows" });
      await start();
      await eventually("it is told", () => source.health().detail.startsWith("MF_SQL_CURSOR"));
      assert.equal(context.counts.get("unreadable"), undefined);
      await source.stop();
    });

    test("an answer with a row that is too long is refused, and its connection goes on", async () => {
      const { outlet: started, context } = await startOutlet(outlet, { url: urlAt(broker.port), connections: 1 });
      const ask = async (sql: string): Promise<unknown> => {
        const answer = await started.request?.({ ...outgoing(JSON.stringify({ sql })), method: "" }, attemptOf(undefined, 60_000));
        return JSON.parse(Buffer.from(answer?.body ?? []).toString()) as unknown;
      };
      const beside = `select 1 as n, 'a' as one union all select 2, repeat('x', ${40 * mib}) union all select 3, repeat('y', ${17 * mib})`;
      for (const sql of [
        `select repeat('x', ${100 * mib}) as x`,
        beside,
        `select repeat('x', ${17 * mib}) as x`,
        `${beside} union all select 4, 'b'`,
      ])
        await assert.rejects(ask(sql), { code: "MF_ANSWER_LIMIT", retryable: false }, sql);
      assert.deepEqual(await ask("select 7 as n"), [{ n: 7 }]);
      assert.equal(((await ask(`select repeat('x', ${15 * mib}) as x`)) as { x: string }[])[0]?.x.length, 15 * mib);
      await started.send(outgoing(JSON.stringify({ sql: beside })), attemptOf(undefined, 60_000));
      assert.equal(context.counts.get("lost"), undefined);
      await started.stop();
    });

    test("a row of an inbox that is too long is marked and passed by", async () => {
      const table = await newTable(name === "mysql" ? mysqlInbox : postgresInbox);
      const body = (times: number): string => (name === "mysql" ? `repeat('x', ${times})` : `decode(repeat('78', ${times}), 'hex')`);
      await run(`insert into ${table} (body) values ('a')`);
      await run(`insert into ${table} (body) values (${body(65 * mib)})`);
      await run(`insert into ${table} (body, ${name === "mysql" ? "`key`" : "key"}) values ('b', repeat('k', ${66 * mib}))`);
      await run(`insert into ${table} (body) values ('c')`);
      const { gateway, source, context } = await startSource(definition, { url: urlAt(broker.port), table, poll: "20ms" });
      await eventually("the others came", () => gateway.settled === 2, 60_000);
      await eventually("the long ones are counted", () => context.counts.get("unreadable") === 2);
      assert.deepEqual(gateway.texts(), ["a", "c"]);
      const error = new RegExp(`^MF_${name.toUpperCase()}_ROW: it has \\d+ bytes, more than 67108864$`);
      await eventually("the long ones are marked", async () => {
        const rows = (await run(`select error from ${table} where done_at is not null`)) as { rows?: unknown } & readonly unknown[];
        const marked = (rows.rows ?? rows[0]) as { error: string }[];
        return marked.length === 2 && marked.every((row) => error.test(row.error));
      });
      await source.stop();
    });
  });
}

const postgresInbox = `id bigint generated always as identity primary key, message_id text, key text, content_type text, correlation_id text,
  headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text`;
const mysqlInbox = `id bigint auto_increment primary key, message_id varchar(512), \`key\` longtext, content_type text, correlation_id text,
  headers json, body longblob, created_at datetime(6) default current_timestamp(6), attempts integer, claimed_by varchar(64),
  claimed_until datetime(6), done_at datetime(6), error text`;
