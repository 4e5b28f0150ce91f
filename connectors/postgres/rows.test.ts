/** Rows that are no messages, row ids that begin again, more bytes than there is memory for. Against a real broker. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import pg from "pg";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import { postgresSource } from "./source.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { configured, eventually, PretendedGateway, startSource, testContext } from "../testing/rig.ts";

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

describe("postgres: faults of others", { skip: typeof postgres === "string" && postgres, timeout: 60_000 }, () => {
  const url = typeof postgres === "string" ? "" : `postgres://postgres@127.0.0.1:${postgres.port}/postgres`;
  const columns = `id bigint generated always as identity primary key, message_id text, key text, content_type text, correlation_id text,
    headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text`;

  async function withTable(run: (client: pg.Client, table: string) => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const table = `t${Math.random().toString(36).slice(2)}`;
    try {
      await client.query(`create table ${table} (${columns})`);
      await run(client, table);
    } finally {
      await client.end();
    }
  }

  test("rows that are no messages are marked and passed; a count at its end does not stop the table", async () => {
    await withTable(async (client, table) => {
      await client.query(`insert into ${table} (body, attempts, headers) values
        (null, 0, '{}'), ('a', 2147483647, '{}'), ('b', null, null), (null, null, '[1]'), ('c', 0, '"text"'), ('d', -1, '{"x": {"y": 1}, "z": null}')`);
      const { gateway, source, context } = await startSource(postgresSource, { url, table, poll: "20ms" });
      await eventually("all came", () => gateway.settled === 4);
      assert.deepEqual(gateway.texts(), ["a", "b", "c", "d"]);
      assert.equal(context.counts.get("unreadable"), 2);
      await eventually("the rest is marked", async () => {
        const { rows } = await client.query(`select id, error, done_at from ${table} order by id`);
        return (
          rows.length === 2 &&
          rows.every((row: { error: string; done_at: unknown }) => row.error.startsWith("MF_POSTGRES_ROW") && row.done_at !== null)
        );
      });
      assert.equal(source.health().ready, true);
      await source.stop();
    });
  });

  test("a table that is truncated with its identity restarted has other ids", async () => {
    await withTable(async (client, table) => {
      const ids: (string | undefined)[] = [];
      for (const round of ["one", "two"]) {
        await client.query(`insert into ${table} (body) values ($1)`, [Buffer.from(round)]);
        const { gateway, source } = await startSource(postgresSource, { url, table, poll: "20ms" });
        await eventually("it came", () => gateway.settled === 1);
        assert.equal(gateway.received[0]?.headers["postgres-id"], "1");
        ids.push(gateway.received[0]?.id);
        await source.stop();
        await client.query(`truncate ${table} restart identity`);
      }
      assert.notEqual(ids[0], ids[1]);
    });
  });

  test("no more long rows are in the process than there is memory for", async () => {
    await withTable(async (client, table) => {
      await client.query(`insert into ${table} (body) select decode(repeat('61', 4194304), 'hex') from generate_series(1, 20)`);
      const memory = gatewayMemory(64 * 2 ** 20);
      const gateway = new PretendedGateway();
      gateway.answer = gateway.hold;
      const source = postgresSource.create(configured(postgresSource, { url, table, poll: "20ms" }), { ...testContext(1_000), memory });
      await source.start((incoming) => {
        memory.messages.force(incoming.body.length);
        return gateway.accept(incoming).finally(() => memory.messages.give(incoming.body.length));
      });
      await eventually("some came", () => gateway.received.length > 0);
      while (gateway.settled < 20) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.ok(memory.intake.takenBytes <= memory.intake.mostBytes + 4 * 2 ** 20, `${memory.intake.takenBytes} bytes at once`);
        gateway.release();
      }
      await source.stop();
    });
  });
});
