import { after } from "node:test";
import pg from "pg";
import { privatePostgres } from "../testing/postgres-server.ts";
import { givenSqlCase } from "../testing/given-sql.case.ts";
import { longRowsCase } from "../testing/long-rows.case.ts";
import { queryCase } from "../testing/query.case.ts";
import { suiteServer } from "../testing/servers.ts";
import { postgresOutlet } from "./outlet.ts";
import { postgresSource } from "./source.ts";

const { skip, broker, end } = await suiteServer(privatePostgres());
const urlAt = (port: number): string => `postgres://postgres@127.0.0.1:${port}/postgres`;
const admin = new pg.Client({ connectionString: urlAt(broker.port) });
if (skip === undefined) await admin.connect();

after(async () => {
  if (skip === undefined) await admin.end();
  await end();
});

queryCase({
  name: "postgres",
  skip,
  source: postgresSource,
  broker,
  urlAt,
  run: (sql) => admin.query(sql),
  async begin() {
    const client = new pg.Client({ connectionString: urlAt(broker.port) });
    await client.connect();
    await client.query("begin");
    return {
      run: (sql) => client.query(sql),
      async commit() {
        await client.query("commit");
        await client.end();
      },
    };
  },
  time: "timestamptz",
});

longRowsCase({
  name: "postgres",
  skip,
  source: postgresSource,
  outlet: postgresOutlet,
  broker,
  urlAt,
  run: (sql) => admin.query(sql),
  text: "text",
  bytes: "bytea",
  json: "json",
  depthOfServer: 12_000,
});

givenSqlCase({ name: "postgres", skip, outlet: postgresOutlet, url: urlAt(broker.port) });
