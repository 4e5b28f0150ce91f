/** Shared by the tests of examples: an example served from a copy of its folder, and a server for its outlets. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Downstream {
  readonly url: string;
  readonly received: Received[];
  /** Resolves once `count` requests have arrived at `path`, with their bodies as JSON. Rejects after ten seconds. */
  until(path: string, count: number): Promise<unknown[]>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

const patienceMs = 10_000;

/** Looks again and again until `ready` gives something. */
export async function eventually<T>(what: string, ready: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const untilMs = Date.now() + patienceMs;
  for (;;) {
    const found = await ready();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) throw new Error(`waited too long for ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** An HTTP server on a free port that remembers what it was asked. `before`: awaited before each answer. */
export async function downstream(
  answer: (request: Received) => Answer = () => ({}),
  before: () => Promise<void> | undefined = () => undefined,
): Promise<Downstream> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const got = { method, path: url, headers, body: Buffer.concat(parts).toString("utf8") };
      received.push(got);
      const { status = 200, headers: more = {}, json = {} } = answer(got);
      void Promise.resolve(before()).then(() => {
        response.writeHead(status, { "content-type": "application/json", ...more });
        response.end(status === 304 ? undefined : JSON.stringify(json));
      });
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    until: async (path, count) =>
      await eventually(`${count} requests to ${path}`, () => {
        const found = received.filter((request) => request.path === path);
        return found.length >= count ? found.map(({ body }) => JSON.parse(body) as unknown) : undefined;
      }),
    close: () => new Promise((done) => void server.close(() => done()).closeAllConnections()),
  };
}

export interface ServedExample extends Serving {
  /** The copy. */
  readonly folder: string;
}

/** Serves a copy of `examples/NAME` on a free port. */
export async function serveExample(name: string, environment: Readonly<Record<string, string>>): Promise<ServedExample> {
  const folder = await mkdtemp(join(tmpdir(), `mayfly-${name}-`));
  await cp(join(packageRoot, "examples", name), folder, { recursive: true, filter: (path) => !path.includes(".mayfly") });
  const serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment, logger: silentLogger });
  return {
    folder,
    gateway: serving.gateway,
    logger: serving.logger,
    config: serving.config,
    url: serving.url,
    inputs: serving.inputs,
    reload: () => serving.reload(),
    stop: async () => {
      await serving.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
