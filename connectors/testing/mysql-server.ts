/** A MariaDB for one test, from Debian's package; `root` has no password. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { PrivateBroker } from "./brokers.ts";
import { missing, type Server } from "./servers.ts";

/** `more`: further arguments of the server. */
export async function privateMysql(...more: readonly string[]): Server {
  const why = missing("mariadbd") ?? missing("mariadb-install-db");
  if (why !== undefined) return why;
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const server = await PrivateBroker.start(
    (dir, port) => [
      "mariadbd", "--no-defaults", ...user, `--datadir=${join(dir, "data")}`, `--socket=${join(dir, "socket")}`, `--pid-file=${join(dir, "pid")}`,
      "--bind-address=127.0.0.1", "--skip-networking=0", `--port=${port}`, "--skip-name-resolve", "--innodb-buffer-pool-size=32M", ...more,
    ], // biome-ignore format: one command
    async (dir) => {
      const make = [...user, `--datadir=${join(dir, "data")}`, "--auth-root-authentication-method=normal", "--skip-test-db"];
      const { status, stdout, stderr } = spawnSync("mariadb-install-db", ["--no-defaults", ...make], { encoding: "utf8", timeout: 60_000 });
      if (status !== 0) throw new Error(`mariadb-install-db: ${stdout}${stderr}`);
    },
    30_000,
  );
  const client = await createConnection({ host: "127.0.0.1", port: server.port, user: "root" });
  await client.query("create database if not exists test");
  await client.end();
  return server;
}
