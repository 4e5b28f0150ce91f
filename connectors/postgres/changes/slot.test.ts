/** Ends of a slot and of its server, which take a server for the test alone. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import pg from "pg";
import type { PrivateBroker } from "../../testing/brokers.ts";
import { privatePostgres } from "../../testing/postgres-server.ts";
import { configured, eventually, PretendedGateway, startSource, testContext, toldBy } from "../../testing/rig.ts";
import { postgresSource } from "../source.ts";

const probe = await privatePostgres();
const skip = typeof probe === "string" ? probe : undefined;
if (typeof probe !== "string") await probe.remove();

async function withServer(
  settings: readonly string[],
  run: (server: PrivateBroker, url: string, sql: (text: string) => Promise<unknown[]>) => Promise<void>,
) {
  const server = await privatePostgres(...settings);
  assert.ok(typeof server !== "string");
  const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`;
  const sql = async (text: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(text)).rows as unknown[];
    } finally {
      await client.end();
    }
  };
  try {
    await run(server, url, sql);
  } finally {
    await server.remove();
  }
}

const changes = { publication: "p", slot: "s", create: true };
const ids = (gateway: PretendedGateway): number[] =>
  gateway.texts().map((text) => (JSON.parse(text) as { readonly key: { readonly id: number } }).key.id);
const numbers = (most: number): number[] => Array.from({ length: most }, (_, at) => at + 1);

describe("postgres: ends of a slot", { skip, timeout: 120_000 }, () => {
  test("a server that keeps no logical changes is told how to", async () => {
    await withServer([], async (_server, url) => toldBy(postgresSource, { url, changes }, "MF_POSTGRES_WAL_LEVEL"));
  });

  test("a server that stops, and one that is killed: nothing is missing after it is back", async () => {
    await withServer(["wal_level=logical"], async (server, url, sql) => {
      await sql("create table t (id integer primary key)");
      const { source, gateway } = await startSource(postgresSource, { url, heartbeat: "1s", changes });
      let most = 0;
      for (const signal of ["SIGINT", "SIGQUIT"] as const) {
        await sql(`insert into t select n from generate_series(${most + 1}, ${most + 100}) n`);
        most += 100;
        await eventually("some came", () => gateway.received.length > most - 100);
        await server.down(signal); // fast; immediate, without a checkpoint
        await eventually("the loss is noticed", () => !source.health().ready);
        await server.up();
        await eventually("the server takes sessions", () => sql("select 1").then(() => true, () => false)); // biome-ignore format: one condition
      }
      await sql("insert into t values (0)");
      await eventually("all came", () => new Set(ids(gateway)).size === most + 1);
      assert.deepEqual([...new Set(ids(gateway))], [...numbers(most), 0]);
      await source.stop();
    });
  });

  test("a slot that the server gave up is told with the position of the first missing change, and is not created again", async () => {
    await withServer(
      ["wal_level=logical", "max_slot_wal_keep_size=1MB", "min_wal_size=32MB", "max_wal_size=32MB"],
      async (_server, url, sql) => {
        await sql("create table t (id integer primary key, note text)");
        const first = await startSource(postgresSource, { url, changes });
        await first.source.stop();
        for (let round = 0; round < 4; round += 1)
          await sql("insert into t select n + (select count(*) from t), repeat('x', 500) from generate_series(1, 20000) n");
        await sql("select pg_switch_wal()");
        await sql("checkpoint");
        const { source } = await startSource(postgresSource, { url, changes });
        await eventually("it is told", () => /^MF_POSTGRES_SLOT_LOST: slot s at .* is lost: changes from 0\/\w+ on are missing/.test(source.health().detail)).catch(() => assert.fail(source.health().detail)); // biome-ignore format: one condition
        await source.stop();
        assert.equal((await sql("select 1 from pg_replication_slots where wal_status = 'lost'")).length, 1);
      },
    );
  });

  test("a slot that was dropped is not silently created anew; one created by hand is read", async () => {
    await withServer(["wal_level=logical"], async (_server, url, sql) => {
      await sql("create table t (id integer primary key)");
      const facts = new Map<string, string>();
      const recall = {
        read: async (name: string) => facts.get(name),
        write: async (name: string, fact: string) => void facts.set(name, fact),
      };
      const life = async (run: (health: () => string, gateway: PretendedGateway) => Promise<void>): Promise<void> => {
        const gateway = new PretendedGateway();
        const source = postgresSource.create(configured(postgresSource, { url, heartbeat: "100ms", changes }), {
          ...testContext(),
          recall,
        });
        await source.start(gateway.accept);
        await run(() => source.health().detail, gateway);
        await source.stop();
      };
      await life(async (health) => {
        await eventually("connected", () => health().startsWith("connected"));
        await sql("select pg_terminate_backend(active_pid) from pg_replication_slots");
        await eventually("dropped", () => sql("select pg_drop_replication_slot('s')").then(() => true, () => false)); // biome-ignore format: one condition
        await eventually("it is told", () => health().startsWith("MF_POSTGRES_SLOT_LOST"));
      });
      await life((health) => eventually("it is told again", () => health().startsWith("MF_POSTGRES_SLOT_LOST")));
      await sql("select pg_create_logical_replication_slot('s', 'pgoutput')");
      await sql("insert into t values (1)");
      await life((_health, gateway) => eventually("it came", () => gateway.settled === 1));
    });
  });

  test("a publication that is dropped in midstream is told", async () => {
    await withServer(["wal_level=logical"], async (_server, url, sql) => {
      await sql("create table t (id integer primary key)");
      const { source, gateway } = await startSource(postgresSource, { url, changes });
      await sql("insert into t values (1)");
      await eventually("it came", () => gateway.settled === 1);
      await sql("drop publication p");
      await sql("insert into t values (2)");
      await eventually("it is told", () => source.health().detail.startsWith("MF_POSTGRES_NO_PUBLICATION"));
      await source.stop();
    });
  });
});
