/** Codes that docs/CONNECTORS.md promises, against a real broker: shown by /ready, and nothing is met again and again for it. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import pg from "pg";
import { postgresOutlet } from "./outlet.ts";
import { postgresSource } from "./source.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { attemptOf, outgoing, startOutlet, toldBy } from "../testing/rig.ts";

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

describe("postgres: codes", { skip: typeof postgres === "string" && postgres, timeout: 60_000 }, () => {
  test("a database, table or column that is not there, and a user who may not", async () => {
    if (typeof postgres === "string") return;
    const url = (user: string, database = "postgres"): string => `postgres://${user}@127.0.0.1:${postgres.port}/${database}`;
    const client = new pg.Client({ connectionString: url("postgres") });
    await client.connect();
    try {
      await client.query("create table short (id bigint); create role stranger login");
      await client.query(`create table whole (id bigint generated always as identity primary key, message_id text, key text, content_type text,
        correlation_id text, headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text)`);
      await toldBy(postgresSource, { url: url("postgres", "nowhere"), table: "whole" }, "MF_POSTGRES_NO_DATABASE");
      await toldBy(postgresSource, { url: url("nobody"), table: "whole" }, "MF_POSTGRES_AUTH");
      await toldBy(postgresSource, { url: url("postgres"), table: "absent" }, "MF_POSTGRES_NO_TABLE");
      await toldBy(postgresSource, { url: url("postgres"), table: "short" }, "MF_POSTGRES_COLUMNS");
      await toldBy(postgresSource, { url: url("stranger"), table: "whole" }, "MF_POSTGRES_FORBIDDEN");

      await client.query(
        "create role late login connection limit 0; create role reader login; alter role reader set default_transaction_read_only = on",
      );
      await client.query("grant all on whole to reader");
      for (const user of ["late", "reader"]) await toldBy(postgresSource, { url: url(user), table: "whole" }, "MF_POSTGRES_UNAVAILABLE");

      await client.query("create function refuse() returns void language plpgsql as $$ begin raise exception 'no'; end $$");
      for (const [sql, code, retryable] of [
        ["select refuse()", "MF_POSTGRES_FAILED", true],
        ["select $text::integer", "MF_POSTGRES_REFUSED", false],
      ] as const) {
        const { outlet } = await startOutlet(postgresOutlet, { url: url("postgres"), sql });
        await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code, retryable });
        await outlet.stop();
      }
    } finally {
      await client.end();
    }
  });
});
