// The servers and programs that the tests use, from Debian's packages. What can't be brought is named with the reason; the tests that need
// it skip and say so.
import { spawnSync } from "node:child_process";

/** Package by the program that shows it is there. */
const packages = {
  "rabbitmq-server": "rabbitmq-server",
  "nats-server": "nats-server",
  mosquitto: "mosquitto",
  "redis-server": "redis-server",
  pg_ctlcluster: "postgresql",
  "qemu-system-x86_64": "qemu-system-x86",
  openssl: "openssl",
};

const isThere = (program) =>
  spawnSync("sh", ["-c", `command -v ${program} || test -x /usr/sbin/${program}`], { stdio: "ignore" }).status === 0;

/** Installs what is missing, as root on Debian and its kin; elsewhere says what the tests will do without. */
export function bringServices() {
  const missing = Object.keys(packages).filter((program) => !isThere(program));
  if (missing.length === 0) return;
  const wanted = missing.map((program) => packages[program]);
  const without = (why) => console.error(`mayfly: ${why}; tests that need ${wanted.join(", ")} are skipped`);
  if (!isThere("apt-get")) return without("no apt-get here");
  if (process.getuid?.() !== 0) return without(`only root can run \`apt-get install ${wanted.join(" ")}\``);
  console.error(`mayfly: installing ${wanted.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const lock = ["-o", "DPkg::Lock::Timeout=300"];
  const apt = (...values) =>
    spawnSync("apt-get", [...lock, ...values], { env, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8", timeout: 900_000 });
  const updated = apt("update");
  const installed = apt("install", "-y", "--no-install-recommends", ...wanted);
  if (installed.status !== 0) without(`apt-get failed: ${(updated.stderr + installed.stderr).trim().split("\n").at(-1)}`);
}
