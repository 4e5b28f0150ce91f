/** Rows of any table by a growing column: what every SQL server's source must pass. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { SourceDefinition } from "../../gateway/contract/source.ts";
import type { Address } from "./pair.ts";
import { Proxy } from "./proxy.ts";
import { aWhile, configured, done, eventually, PretendedGateway, testContext, toldBy, uniqueName } from "./rig.ts";

export interface QueryCase {
  readonly name: string;
  readonly skip: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly source: SourceDefinition<any>;
  readonly broker: Address;
  readonly urlAt: (port: number) => string;
  /** Each statement commits by itself. */
  readonly run: (sql: string) => Promise<unknown>;
  /** Another connection, in a transaction; `commit` ends both. */
  readonly begin: () => Promise<{ readonly run: (sql: string) => Promise<unknown>; readonly commit: () => Promise<void> }>;
  /** Type of a time with microseconds. */
  readonly time: string;
}

export function queryCase({ name, skip, source: definition, broker, urlAt, run, begin, time }: QueryCase): void {
  const facts = new Map<string, string>();
  const recall = {
    read: async (fact: string) => facts.get(fact),
    write: async (fact: string, value: string) => void facts.set(fact, value),
  };

  function reading(more: object, gateway = new PretendedGateway(), port = broker.port) {
    const raw = { url: urlAt(port), poll: "20ms", late: "50ms", ...more };
    const context = { ...testContext(16), recall };
    const source = definition.create(configured(definition, raw), context);
    return { source, gateway, start: () => source.start(gateway.accept) };
  }
  const ids = ({ received }: PretendedGateway): number[] =>
    received.map(({ body }) => Number((JSON.parse(Buffer.from(body).toString()) as { id: unknown }).id));
  const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);
  const insert = (table: string, from: number, to: number): Promise<unknown> =>
    run(`insert into ${table} (id, note) values ${numbers(from, to).map((id) => `(${id}, 'of ${id}')`).join(", ")}`); // biome-ignore format: one statement
  const newTable = async (columns = "id bigint primary key, note varchar(100)"): Promise<string> => {
    const table = uniqueName("rows").toLowerCase().replaceAll("-", "_");
    await run(`create table ${table} (${columns})`);
    return table;
  };

  describe(`${name}: rows of any table`, { skip, timeout: 120_000 }, () => {
    test("rows come once, in order, as JSON; after a restart only new ones do", async () => {
      const table = await newTable();
      await insert(table, 1, 40);
      const first = reading({ table, cursor: "id" });
      await first.start();
      await eventually("all came", () => first.gateway.settled === 40);
      await insert(table, 41, 42);
      await eventually("the new ones came", () => first.gateway.settled === 42);
      await first.source.stop();
      assert.deepEqual(ids(first.gateway), numbers(1, 42));
      const [one] = first.gateway.received;
      assert.deepEqual([one?.contentType, one?.headers[`${name}-cursor`], one?.keeper], ["application/json", "1", "source"]);
      await insert(table, 43, 43);
      const second = reading({ table, cursor: "id" });
      await second.start();
      await eventually("the new one came", () => second.gateway.settled === 1);
      await aWhile();
      assert.deepEqual(ids(second.gateway), [43]);
      await second.source.stop();
    });

    test("rows of one time are not lost, though they fill more than a page; equal rows are as many messages", async () => {
      const table = await newTable(`id bigint, at ${time}`);
      const values = numbers(1, 1_200).map((id) => `(${id}, '2026-11-30 01:02:03.000007')`);
      await run(`insert into ${table} values ${values.join(", ")}`);
      await run(`insert into ${table} values (7, '2026-11-30 01:02:03.000007'), (7, '2026-11-30 01:02:03.000007')`);
      await run(`insert into ${table} values (1201, '2026-11-30 01:02:03.000008'), (1202, null)`);
      const { source, gateway, start } = reading({ query: `select * from ${table};`, cursor: "at" });
      await start();
      await eventually("all came", () => gateway.settled === 1_203, 60_000);
      await run(`insert into ${table} values (1203, '2026-11-30 01:02:03.000008')`);
      await eventually("one more of the last time", () => gateway.settled === 1_204);
      await aWhile();
      const sorted = ids(gateway).sort((a, b) => a - b);
      assert.deepEqual(sorted, [...numbers(1, 7), 7, 7, ...numbers(8, 1_201), 1_203]);
      assert.equal(new Set(gateway.received.map(({ id }) => id)).size, 1_204);
      await source.stop();
    });

    test("a row that is committed behind a later one is found, also when it has waited", async () => {
      const table = await newTable();
      const late = await begin();
      await late.run(`insert into ${table} values (1, 'late')`);
      await insert(table, 2, 3);
      const { source, gateway, start } = reading({ table, cursor: "id", late: "1h" });
      await start();
      await eventually("the others came", () => gateway.settled === 2);
      await aWhile();
      await late.commit();
      await eventually("the late one came", () => gateway.settled === 3);
      assert.deepEqual(ids(gateway), [2, 3, 1]);
      await source.stop();
    });

    test("after a crash what had not ended comes again, and nothing else; a slow message holds back no other", async () => {
      const table = await newTable();
      await insert(table, 1, 30);
      const before = new Set(facts.keys());
      const gateway = new PretendedGateway();
      gateway.answer = (incoming: Incoming): Outcome | Promise<Outcome> =>
        ids(gateway).at(-1) === 5 ? gateway.hold(incoming) : done(incoming);
      const first = reading({ table, cursor: "id" }, gateway);
      await first.start();
      await eventually("the others are done", () => gateway.settled === 29);
      const ended = (): unknown[] =>
        [...facts].filter(([fact]) => !before.has(fact)).flatMap(([, fact]) => (JSON.parse(fact) as { ended: unknown[] }).ended);
      await eventually("it is kept", () => ended().length === 29);
      const copy = new Map(facts); // as the journal has it when the process ends
      gateway.answer = done;
      gateway.release();
      await first.source.stop();
      for (const [fact, value] of copy) facts.set(fact, value);
      const second = reading({ table, cursor: "id" });
      await second.start();
      await eventually("it came again", () => second.gateway.settled >= 1);
      await aWhile();
      assert.deepEqual(ids(second.gateway), [5]);
      assert.equal(second.gateway.received[0]?.id, gateway.received.find((_, at) => ids(gateway)[at] === 5)?.id);
      await second.source.stop();
    });

    test("through cut connections every row comes; those that come again have their identity", async () => {
      const table = await newTable();
      const proxy = await Proxy.open(broker);
      await insert(table, 1, 100);
      const { source, gateway, start } = reading({ table, cursor: "id" }, new PretendedGateway(), proxy.port);
      let cuts = 0;
      gateway.answer = (incoming) => {
        if (gateway.received.length % 40 === 0 && cuts < 3) {
          cuts += 1;
          proxy.cut();
        }
        return done(incoming);
      };
      await start();
      await eventually("all came", () => new Set(ids(gateway)).size === 100, 60_000);
      assert.equal(new Set(gateway.received.map(({ id }) => id)).size, 100);
      assert.ok(cuts > 0);
      await source.stop();
      await proxy.close();
    });

    test("from: new leaves out what is there, and a row that is changed is another message", async () => {
      const table = await newTable(`id bigint primary key, at ${time}`);
      await run(`insert into ${table} values (1, '2026-11-30 01:00:00'), (2, '2026-11-30 01:00:00')`);
      const { source, gateway, start } = reading({ table, cursor: "at", from: "new" });
      await start();
      await aWhile();
      assert.deepEqual(ids(gateway), []);
      await run(`insert into ${table} values (3, '2026-11-30 01:00:00')`);
      await run(`update ${table} set at = '2026-11-30 01:00:00.000001' where id = 1`);
      await eventually("both came", () => gateway.settled === 2);
      assert.deepEqual(ids(gateway).sort(), [1, 3]);
      await source.stop();
    });

    test("long numbers keep every digit", async () => {
      const table = await newTable();
      const long = 9_007_199_254_740_993n;
      for (const more of [0n, 1n, 2n]) await run(`insert into ${table} values (${long + more}, 'x')`);
      const { source, gateway, start } = reading({ table, cursor: "id" });
      await start();
      await eventually("all came", () => gateway.settled === 3);
      await aWhile();
      assert.deepEqual(
        gateway.received.map(({ headers }) => headers[`${name}-cursor`]),
        [String(long), String(long + 1n), String(long + 2n)],
      );
      await source.stop();
      const again = reading({ table, cursor: "id" });
      await again.start();
      await aWhile();
      assert.equal(again.gateway.received.length, 0);
      await again.source.stop();
    });

    test("settings that do not fit together are refused", () => {
      const create = (more: object) => definition.create(configured(definition, { url: urlAt(1), ...more }), testContext());
      for (const more of [{}, { query: "select 1" }, { cursor: "id" }, { table: "t", query: "select 1", cursor: "id" }])
        assert.throws(() => create(more), { code: "MF_SQL_SOURCE" });
      for (const more of [{ done: "mark" }, { create: true }, { cloudevents: true }])
        assert.throws(() => create({ table: "t", cursor: "id", ...more }), { code: "MF_SQL_SOURCE" });
    });

    test("what can't be read is told", async () => {
      const upper = name.toUpperCase();
      const table = await newTable();
      await toldBy(definition, { url: urlAt(broker.port), table: "there_is_none", cursor: "id" }, `MF_${upper}_NO_TABLE`);
      await toldBy(definition, { url: urlAt(broker.port), table, cursor: "nothing" }, `MF_${upper}_COLUMNS`);
      await toldBy(definition, { url: urlAt(broker.port), query: "select from where", cursor: "id" }, `MF_${upper}_FAILED`);
      const values = numbers(1, 17_000).map((id) => `(${id}, 'x')`);
      await run(`insert into ${table} values ${values.join(", ")}`);
      await toldBy(definition, { url: urlAt(broker.port), query: `select id, 1 as same from ${table}`, cursor: "same" }, "MF_SQL_CURSOR");
    });
  });
}
