// The servers and programs that tests use: Debian's packages, Apache Kafka and ActiveMQ Artemis from Maven Central, an S3 server from the Go module proxy. `npm test` brings them;
// `npm run services -- up | down | status` by hand.
// All but RabbitMQ are started by the test that needs them, on a free port and in a folder of its own; RabbitMQ takes seconds to start, so
// that its tests share one. What can't be brought is named with the reason; tests that need it skip and say so.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { bringJavaServer, javaServers } from "./java-servers.mjs";
import { bringS3, s3Program } from "./s3.mjs";

/** By the program that shows it is there: Debian's package, and the tests that need it. */
const programs = {
  "rabbitmq-server": { package: "rabbitmq-server", tests: "amqp, chaos" },
  "nats-server": { package: "nats-server", tests: "nats, jetstream, chaos" },
  mosquitto: { package: "mosquitto", tests: "mqtt, chaos" },
  "redis-server": { package: "redis-server", tests: "redis, chaos" },
  mariadbd: { package: "mariadb-server", tests: "mysql" },
  pg_ctlcluster: { package: "postgresql", tests: "postgres, chaos" },
  "qemu-system-x86_64": { package: "qemu-system-x86", tests: "the qemu monitor" },
  chromium: { package: "chromium", tests: "the page" },
  sshd: { package: "openssh-server", tests: "sftp" },
  vsftpd: { package: "vsftpd", tests: "ftp" },
  dovecot: { package: "dovecot-imapd", tests: "imap" },
  "docker-registry": { package: "docker-registry", tests: "images in a registry" },
  openssl: { package: "openssl", tests: "tls, smtp" },
};
const rabbit = { host: "127.0.0.1", port: 5672 };

const isThere = (program) =>
  spawnSync("sh", ["-c", `command -v ${program} || test -x /usr/sbin/${program}`], { stdio: "ignore" }).status === 0;

/** Installs what is missing; says what the tests will do without. */
export function bringServices() {
  bringPackages();
  for (const server of Object.values(javaServers)) {
    const why = bringJavaServer(server);
    if (why !== undefined) console.error(`mayfly: no ${server.title}: ${why}; tests that need it (${server.tests}) are skipped`);
  }
  const whyNot = bringS3();
  if (whyNot !== undefined) console.error(`mayfly: no S3 server: ${whyNot}; tests that need it are skipped`);
}

/** As root, on Debian and its kin. */
function bringPackages() {
  const missing = Object.keys(programs).filter((program) => !isThere(program));
  if (missing.length === 0) return;
  const wanted = missing.map((program) => programs[program].package);
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

function answers({ host, port }) {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
    socket.setTimeout(1_000, () => end(false));
  });
}

/** By program: is it installed, does a shared server answer, and what can't be tested without it. */
async function status() {
  const rows = [];
  for (const [program, { package: name, tests }] of Object.entries(programs)) {
    const installed = isThere(program);
    const running = program === "rabbitmq-server" ? await answers(rabbit) : undefined;
    rows.push({ program, package: name, installed, ...(running === undefined ? {} : { running }), tests });
  }
  for (const [program, { artifacts, jars, tests }] of Object.entries(javaServers))
    rows.push({ program, package: artifacts.join(", "), installed: existsSync(jars), tests });
  rows.push({ program: "versitygw", package: "github.com/versity/versitygw", installed: existsSync(s3Program), tests: "s3" });
  return rows;
}

function line({ program, installed, running, tests }) {
  const state = !installed
    ? "missing"
    : running === undefined
      ? "installed, each test starts its own"
      : running
        ? "running"
        : "not running";
  return `${program.padEnd(20)}${state.padEnd(36)}${installed ? "for" : "skipped without it:"} ${tests}`;
}

async function show(json) {
  const rows = await status();
  console.log(json ? JSON.stringify({ services: rows }, undefined, 2) : rows.map(line).join("\n"));
  return rows.every(({ installed, running }) => installed && running !== false);
}

async function startRabbit() {
  if (!isThere("rabbitmq-server") || (await answers(rabbit))) return;
  if (process.getuid?.() !== 0) return console.error("mayfly: only root can start the service rabbitmq-server; its tests are skipped");
  spawnSync("service", ["rabbitmq-server", "start"], { stdio: "ignore", timeout: 60_000 });
  for (let tries = 0; tries < 300 && !(await answers(rabbit)); tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
}

const usage = `npm run services -- up | down | status [--json]

  up       installs what is missing and starts RabbitMQ, which tests share; the others are started by the tests that need them
  down     stops RabbitMQ
  status   what is installed, what runs, and which tests are skipped; exits with 1 when something is missing
`;

async function main() {
  const { positionals, values } = parseArgs({ options: { json: { type: "boolean" }, help: { type: "boolean" } }, allowPositionals: true });
  const [command] = positionals;
  if (values.help === true) return process.stdout.write(usage);
  if (positionals.length !== 1 || !["up", "down", "status"].includes(command)) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  if (command === "up") {
    bringServices();
    await startRabbit();
  }
  if (command === "down" && (await answers(rabbit)))
    spawnSync("service", ["rabbitmq-server", "stop"], { stdio: "ignore", timeout: 60_000 });
  const all = await show(values.json === true);
  if (command !== "down" && !all) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
