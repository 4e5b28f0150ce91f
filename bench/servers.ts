/**
 * The servers under load, each in a process of its own; prints its port.
 *   node dist/bench/servers.js plain
 *   node dist/bench/servers.js reply    [workers]            a reply from a fresh machine for each request
 *   node dist/bench/servers.js traced  COLLECTOR          the same, with a tenth of the traces, all metrics and the log exported there
 *   node dist/bench/servers.js sink                        a collector that takes everything
 *   node dist/bench/servers.js recorded                      the same, and everything is recorded in history
 *   node dist/bench/servers.js forward  memory|durable|recorded   202, then a fresh machine that sends: accepted and committed in that journal
 */
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "#base";
import { connectors } from "#connectors";
import { configuredHistory, createGateway, DeadLetters, type Journal, MemoryJournal, openJournal, silentLogger } from "#gateway";
import { buildImage } from "#image";
import { embeddedMonitor } from "#monitors";
import { openTelemetry } from "#telemetry";
import { readBenchConfig } from "./config.ts";
import { referenceFlow, transformSource } from "./start.ts";

const forwardFlow = fileURLToPath(new URL("../../bench/flows/forward.ts", import.meta.url));

interface Served {
  readonly flow: string;
  readonly source: string;
  readonly durable: boolean;
  readonly workers: number | undefined;
  readonly recorded?: boolean;
  /** URL of a collector. */
  readonly collector?: string | undefined;
}

async function mayfly({ flow, source, durable, workers, collector, recorded = false }: Served): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-"));
  const config = readBenchConfig(`
http: { host: 127.0.0.1, port: 0 }
deadLetters: { dir: ${folder} }
history: { enabled: ${recorded}, dir: ${folder}/history }
log: { level: silent }
${collector === undefined ? "" : `telemetry: { endpoint: "${collector}", sample: 10% }`}
flows:
  orders:
    flow: ${flow}
    from:
      - http: ${source}
    to:
      audit: { log: { level: debug } }
`);
  const monitor = embeddedMonitor(workers === undefined ? {} : { workers });
  const deadLetters = new DeadLetters(folder);
  const journal: Journal = durable ? openJournal(join(folder, "journal"), { deadLetters }) : new MemoryJournal(deadLetters);
  const telemetry = openTelemetry(config.telemetry, {}, { clock: systemClock, logger: silentLogger, level: "info", version: "0.0.0" });
  const gateway = createGateway(config, {
    history: configuredHistory(config, silentLogger),
    runner: monitor,
    journal,
    deadLetters,
    connectors,
    logger: silentLogger,
    tracing: telemetry?.tracing,
    witnesses: telemetry?.witness === undefined ? [] : [telemetry.witness],
    loadFlow: async () => {
      const { image } = await buildImage(flow, { check: false });
      return { image: await monitor.load(image), outlets: image.manifest.outlets ?? undefined, limits: image.manifest.limits };
    },
  });
  await gateway.start();
  telemetry?.observe(() => gateway.measurements());
  process.on(
    "SIGTERM",
    () =>
      void gateway
        .stop()
        .then(() => monitor.close())
        .then(() => process.exit(0)),
  );
  return gateway.address?.port ?? 0;
}

/** A collector that reads what it gets and says that it has it. */
function sink(): Promise<number> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/x-protobuf" });
      response.end();
    });
  });
  process.on("SIGTERM", () => process.exit(0));
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done((server.address() as { port: number }).port)));
}

/** A plain node:http handler that does the same transform in process: no isolation at all. */
function plain(): Promise<number> {
  const transform = new Function(`return (${transformSource})`)() as (text: string) => string;
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (part: string) => (text += part));
    request.on("end", () => {
      const reply = transform(text);
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(reply) });
      response.end(reply);
    });
  });
  process.on("SIGTERM", () => process.exit(0));
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done((server.address() as { port: number }).port)));
}

const [mode, detail] = process.argv.slice(2);
const reply = { flow: referenceFlow, source: "{ method: POST, path: /orders }", durable: false };
const serve: Readonly<Record<string, () => Promise<number>>> = {
  plain,
  sink,
  traced: () => mayfly({ ...reply, workers: undefined, collector: detail }),
  reply: () => mayfly({ ...reply, workers: detail === undefined ? undefined : Number(detail) }),
  recorded: () => mayfly({ ...reply, workers: undefined, recorded: true }),
  forward: () =>
    mayfly({
      flow: forwardFlow,
      source: "{ method: POST, path: /orders, mode: accept }",
      durable: detail !== "memory",
      recorded: detail === "recorded",
      workers: undefined,
    }),
};
console.log(await serve[mode ?? "plain"]?.());
