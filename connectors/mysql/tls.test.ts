/** Against a MariaDB that has the certificates itself. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { installed } from "../testing/brokers.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { privateMysql } from "../testing/mysql-server.ts";
import { startOutlet } from "../testing/rig.ts";
import { missing, started } from "../testing/servers.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { mysqlOutlet } from "./outlet.ts";

const skip = missing("mariadbd");

const open = (dir: string) =>
  started(privateMysql(`--ssl-ca=${join(dir, "ca.pem")}`, `--ssl-cert=${join(dir, "server.pem")}`, `--ssl-key=${join(dir, "server.key")}`));
const config = (port: number): object => ({ url: `mysql://root@127.0.0.1:${port}/test`, sql: "select 1", tls: {} });

tlsCase({ name: "mysql", skip, outlet: mysqlOutlet, open, config, code: "MF_MYSQL_TLS" });

test("the certificate of an address must be for that address", {
  skip: skip ?? (installed("openssl") ? false : "no openssl"),
}, async () => {
  for (const [names, ready] of [
    ["IP:127.0.0.1", true],
    ["DNS:localhost", false],
  ] as const) {
    const { dir } = await makeCertificates(names);
    const server = await open(dir);
    try {
      const { outlet } = await startOutlet(mysqlOutlet, { ...config(server.port), tls: { ca: "ca.pem" } }, dir);
      assert.equal(outlet.health().ready, ready, outlet.health().detail);
      await outlet.stop();
    } finally {
      await server.remove();
      await rm(dir, { recursive: true });
    }
  }
});
