/** A PostgreSQL cluster for one test, from Debian's package, run as its unprivileged user; it trusts every client of this computer. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { PrivateBroker } from "./brokers.ts";

const programsFolder = "/usr/lib/postgresql";

/** Debian keeps the server's programs off the PATH. */
function programs(): string | undefined {
  try {
    const newest = readdirSync(programsFolder).sort((a, b) => Number(b) - Number(a))[0];
    return newest === undefined ? undefined : join(programsFolder, newest, "bin");
  } catch {
    return undefined;
  }
}

/** PostgreSQL refuses to run as root. Undefined when there is nobody else to run it as. */
function unprivileged(): readonly string[] | undefined {
  if (process.getuid?.() !== 0) return [];
  if (spawnSync("id", ["postgres"], { stdio: "ignore" }).status !== 0) return undefined;
  return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
}

/** The port is open a moment before the server takes sessions. */
async function takesSessions(port: number): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return;
    } catch (error) {
      if (tries > 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Starts one with the user and the database `postgres`; a string is the reason why it can't. `settings`: `wal_level=logical`. */
export async function privatePostgres(...settings: readonly string[]): Promise<PrivateBroker | string> {
  const [bin, as] = [programs(), unprivileged()];
  if (bin === undefined) return `no PostgreSQL server programs below ${programsFolder}`;
  if (as === undefined) return "we are root, and there is no user postgres";
  const run = (...command: string[]): void => {
    const { status, stderr } = spawnSync(command[0] ?? "", command.slice(1), { encoding: "utf8", cwd: "/", timeout: 60_000 });
    if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  };
  const command = (dir: string, port: number): string[] => [
    ...as, join(bin, "postgres"), "-D", join(dir, "data"), "-p", String(port), "-h", "127.0.0.1", "-k", dir,
    ...settings.flatMap((setting) => ["-c", setting]),
  ]; // biome-ignore format: one command
  const cluster = await PrivateBroker.start(command, async (dir) => {
    if (as.length > 0) run("chown", "postgres", dir);
    run(...as, join(bin, "initdb"), "-D", join(dir, "data"), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8");
  });
  await takesSessions(cluster.port);
  return cluster;
}
