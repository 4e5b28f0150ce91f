/** Statements that flows give: what every SQL server's outlet must pass. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OutletDefinition } from "../../gateway/contract/outlet.ts";
import { attemptOf, outgoing, startOutlet, uniqueName } from "./rig.ts";

export interface GivenSqlCase {
  readonly name: string;
  readonly skip: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly outlet: OutletDefinition<any>;
  readonly url: string;
}

export function givenSqlCase({ name, skip, outlet: definition, url }: GivenSqlCase): void {
  describe(`${name}: statements of the flow`, { skip, timeout: 60_000 }, () => {
    test("named parameters, answers, and transactions of all or nothing", async () => {
      const { outlet } = await startOutlet(definition, { url, connections: 1 });
      const ask = async (body: unknown): Promise<unknown> => {
        const request = { ...outgoing(typeof body === "string" ? body : JSON.stringify(body)), method: "" };
        const answer = await outlet.request?.(request, attemptOf());
        return JSON.parse(Buffer.from(answer?.body ?? []).toString()) as unknown;
      };
      const table = uniqueName("given").toLowerCase().replaceAll("-", "_");
      await outlet.send(outgoing(JSON.stringify({ sql: `create table ${table} (id integer primary key, note varchar(99))` })), attemptOf());
      const insert = `insert into ${table} (id, note) values ($id, :note)`;
      await outlet.send(outgoing(JSON.stringify({ sql: insert, params: { id: 1, note: "it's $id; drop table x --" } })), attemptOf());
      const all = { sql: `select id, note from ${table} where id >= $least and '$x :id' <> '' order by id`, params: { least: 0, id: 5 } };
      assert.deepEqual(await ask(all), [{ id: 1, note: "it's $id; drop table x --" }]);
      const both = [{ sql: insert, params: { id: 2, note: null } }, { sql: insert, params: { id: 3, note: "c" } }, all];
      assert.equal(((await ask(both)) as unknown[][])[2]?.length, 3);
      const broken = [
        { sql: insert, params: { id: 4, note: "d" } },
        { sql: insert, params: { id: 1, note: "again" } },
      ];
      const others = Array.from({ length: 5 }, (_, at) => ask({ sql: insert, params: { id: 10 + at, note: "beside" } }));
      await assert.rejects(ask(broken), { code: `MF_${name.toUpperCase()}_REFUSED`, retryable: false });
      await Promise.all(others);
      assert.deepEqual(
        ((await ask(all)) as { id: number }[]).map(({ id }) => id),
        [1, 2, 3, 10, 11, 12, 13, 14],
      );
      const busy = ask({ sql: name === "postgres" ? "select pg_sleep(1)" : "select sleep(1)" });
      const late = { sql: insert, params: { id: 99, note: "its attempt ended before its turn" } };
      await assert.rejects(outlet.send(outgoing(JSON.stringify(late)), attemptOf(undefined, 100)));
      await busy;
      assert.equal(((await ask(all)) as unknown[]).length, 8);
      for (const sql of ["begin", "/* a */ -- b\n BEGIN;", "commit", "rollback", "set names utf8", "start transaction", "select 1; begin"])
        for (const body of [{ sql }, [{ sql: "select 1" }, { sql }]])
          await assert.rejects(ask(body), { code: "MF_SQL_STATEMENT", retryable: false }, sql);
      assert.equal(((await ask({ sql: "select 'begin; commit' as x ; -- set" })) as unknown[]).length, 1);
      for (const body of ["", "x", "7", [], {}, { sql: "" }, { sql: "select $x" }, { sql: "select $1" }, { sql: "select 1", params: [] }])
        await assert.rejects(ask(body), { code: "MF_SQL_STATEMENT", retryable: false }, JSON.stringify(body));
      await outlet.stop();
    });
  });
}
