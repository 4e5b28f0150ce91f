/** See testing/set-aside.case.ts. */
import { after, describe, test } from "node:test";
import pg from "pg";
import { privatePostgres } from "../testing/postgres-server.ts";
import { setsAside } from "../testing/set-aside.case.ts";

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

describe("postgres: a message whose acknowledgement ends the connection is set aside, and those behind it go on", {
  skip: typeof postgres === "string" && postgres,
  timeout: 60_000,
}, () => {
  for (const done of ["delete", "mark"])
    test(done, async () => {
      if (typeof postgres === "string") return;
      const client = new pg.Client({ connectionString: `postgres://postgres@127.0.0.1:${postgres.port}/postgres` });
      await client.connect();
      const table = `aside_${done}`;
      try {
        await client.query(`create table ${table} (id bigint generated always as identity primary key, message_id text, key text, content_type text,
          correlation_id text, headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text)`);
        const ending = done === "delete" ? "delete from" : "unnest($1";
        await setsAside(postgres, {
          from: (port) => `postgres: { url: "postgres://postgres@127.0.0.1:${port}/postgres", table: ${table}, poll: 20ms, done: ${done} }`,
          deadly: (bytes) => bytes.includes(ending) && /[{"]1["},]/.test(bytes.toString("latin1")),
          publish: async (texts) => {
            for (const each of texts) await client.query(`insert into ${table} (body) values ($1)`, [Buffer.from(each)]);
          },
          left: async () => (await client.query(`select 1 from ${table} where done_at is null`)).rows.length,
        });
      } finally {
        await client.end();
      }
    });
});
