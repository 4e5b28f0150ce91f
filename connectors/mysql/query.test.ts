import { after } from "node:test";
import { createConnection } from "mysql2/promise";
import { privateMysql } from "../testing/mysql-server.ts";
import { givenSqlCase } from "../testing/given-sql.case.ts";
import { queryCase } from "../testing/query.case.ts";
import { suiteServer } from "../testing/servers.ts";
import { mysqlOutlet } from "./outlet.ts";
import { mysqlSource } from "./source.ts";

const { skip, broker, end } = await suiteServer(privateMysql());
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

givenSqlCase({ name: "mysql", skip, outlet: mysqlOutlet, url: `mysql://root@127.0.0.1:${broker.port}/test` });
