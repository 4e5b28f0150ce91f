import { doesNotThrow, throws } from "node:assert/strict";
import { after, test } from "node:test";
import { createConnection } from "mysql2/promise";
import { privateMysql } from "../testing/mysql-server.ts";
import { givenSqlCase } from "../testing/given-sql.case.ts";
import { longRowsCase } from "../testing/long-rows.case.ts";
import { queryCase } from "../testing/query.case.ts";
import { suiteServer } from "../testing/servers.ts";
import { givenStatements } from "../shared/given-sql.ts";
import { mysqlSql } from "../shared/sql.ts";
import { mysqlOutlet } from "./outlet.ts";
import { mysqlSource } from "./source.ts";

const { skip, broker, end } = await suiteServer(privateMysql("--max-allowed-packet=256M"));
const connect = () => createConnection({ host: "127.0.0.1", port: broker.port, user: "root", database: "test" });
const admin = skip === undefined ? await connect() : undefined;

after(async () => {
  await admin?.end();
  await end();
});

queryCase({
  name: "mysql",
  skip,
  source: mysqlSource,
  broker,
  urlAt: (port) => `mysql://root@127.0.0.1:${port}/test`,
  run: async (sql) => admin?.query(sql),
  async begin() {
    const client = await connect();
    await client.query("begin");
    return {
      run: (sql) => client.query(sql),
      async commit() {
        await client.query("commit");
        await client.end();
      },
    };
  },
  time: "datetime(6)",
});

longRowsCase({
  name: "mysql",
  skip,
  source: mysqlSource,
  outlet: mysqlOutlet,
  broker,
  urlAt: (port) => `mysql://root@127.0.0.1:${port}/test`,
  run: async (sql) => admin?.query(sql),
  text: "longtext",
  bytes: "longblob",
  json: "longtext",
  depthOfServer: 100,
});

givenSqlCase({ name: "mysql", skip, outlet: mysqlOutlet, url: `mysql://root@127.0.0.1:${broker.port}/test` });

test("a list with a statement that MySQL commits at once is refused: it would not be all or nothing", () => {
  const given = (...statements: string[]): unknown =>
    givenStatements(Buffer.from(JSON.stringify(statements.map((sql) => ({ sql })))), mysqlSql);
  for (const sql of ["create table a (id int)", "TRUNCATE a", "/* ! */ alter table a add b int", "/*!50000 drop table */ a"])
    throws(() => given("insert into a values (1)", sql), { code: "MF_SQL_STATEMENT" }, sql);
  for (const sql of ["create temporary table a (id int)", "insert into a values ('; drop table a')"])
    doesNotThrow(() => given("insert into a values (1)", sql), sql);
  doesNotThrow(() => given("create table a (id int)"));
  throws(() => given("/*!50000 set */ autocommit = 0"), { code: "MF_SQL_STATEMENT" });
});
