/** The servers under load, each in a process of its own: `node dist/bench/servers.js mayfly|plain [workers]`. Prints its port. */
import { createServer } from "node:http";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGateway, DeadLetters, MemoryJournal, silentLogger } from "#gateway";
import { readBenchConfig } from "./config.ts";
import { buildImage } from "#image";
import { embeddedMonitor } from "#monitors";
import { referenceFlow, transformSource } from "./start.ts";

async function mayfly(workers: number | undefined): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-"));
  const config = readBenchConfig(`
http: { host: 127.0.0.1, port: 0 }
deadLetters: { dir: ${folder} }
log: { level: silent }
flows:
  orders:
    flow: ${referenceFlow}
    from:
      - http: { method: POST, path: /orders }
`);
  const spin = process.argv[4] === undefined ? {} : { spin: Number(process.argv[4]) };
  const monitor = embeddedMonitor(workers === undefined ? spin : { workers, ...spin });
  const deadLetters = new DeadLetters(folder);
  const gateway = createGateway(config, {
    runner: monitor,
    journal: new MemoryJournal(deadLetters),
    deadLetters,
    logger: silentLogger,
    loadFlow: async () => {
      const { image } = await buildImage(referenceFlow, { check: false });
      return { image: await monitor.load(image), outlets: image.manifest.outlets ?? undefined, limits: image.manifest.limits };
    },
  });
  await gateway.start();
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

const [mode, workers] = process.argv.slice(2);
const port = mode === "mayfly" ? await mayfly(workers === undefined ? undefined : Number(workers)) : await plain();
console.log(port);
