/** A gateway with scripted flows in a folder of its own, for tests. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, fetch, type RequestInit, type Response } from "undici";
import { type Clock, prng, systemClock } from "#base";
import { defaultFlowLimits } from "#abi";
import { readConfig } from "../config/read.ts";
import type { GatewayConfig } from "../contract/config.ts";
import { createGateway, type Gateway, type GatewayPorts } from "../gateway.ts";
import { configuredHistory } from "../history/mod.ts";
import { DeadLetters, type DeadLetterFs } from "../journal/dead-letters.ts";
import { MemoryJournal } from "../journal/memory.ts";
import type { RootLogger } from "../logger.ts";
import { connectors } from "#connectors";
import { type Script, ScriptedRunner } from "./scripted.ts";

export interface LogLine {
  readonly level: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Rig {
  readonly dir: string;
  readonly gateway: Gateway;
  readonly runner: ScriptedRunner;
  readonly journal: MemoryJournal;
  readonly deadLetters: DeadLetters;
  readonly logs: LogLine[];
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Asks the admin endpoints, through their socket. */
  admin(path: string, init?: RequestInit): Promise<Response>;
  config(yaml: string): GatewayConfig;
}

export interface RigOptions {
  readonly clock?: Clock;
  readonly fs?: DeadLetterFs;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: Partial<GatewayPorts>;
  readonly drain?: string;
  /** True: messages are recorded in the folder. */
  readonly history?: boolean;
  /** Called with the folder before the gateway is made. */
  readonly before?: (dir: string) => Promise<void>;
}

function recordingLogger(logs: LogLine[], bound: object): RootLogger {
  const line = (level: string) => (fields: object, text: string) => void logs.push({ level, text, fields: { ...bound, ...fields } });
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: (fields) => recordingLogger(logs, { ...bound, ...fields }),
  };
}

/** Starts a gateway on a free port, runs the test, stops it. `yaml` is what stands under the flows; `{dir}` is the folder. */
export async function withGateway(
  yaml: string,
  scripts: Readonly<Record<string, Script>>,
  run: (rig: Rig) => Promise<void>,
  options: RigOptions = {},
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-gateway-"));
  const logs: LogLine[] = [];
  const runner = new ScriptedRunner(scripts);
  const deadLetters = options.fs === undefined ? new DeadLetters(join(dir, "dead")) : new DeadLetters(join(dir, "dead"), options.fs);
  const journal = new MemoryJournal(deadLetters);
  const config = (text: string): GatewayConfig =>
    readConfig(`${/^http:/m.test(text) ? "" : "http: { port: 0 }\n"}drain: ${options.drain ?? "2s"}\n${text}`, join(dir, "mayfly.yaml"), {
      ...connectors,
      environment: options.environment ?? {},
    });
  try {
    await options.before?.(dir);
    const logger = recordingLogger(logs, {});
    const gateway = createGateway(config(yaml), {
      history: options.history === true ? configuredHistory(config(yaml), logger) : undefined,
      runner,
      journal,
      deadLetters,
      logger,
      clock: options.clock ?? systemClock,
      random: prng(1),
      connectors,
      loadFlow: async (name, flow) => ({
        image: { name: flow.image?.replace(".mfi", "") ?? name, sha256: "0".repeat(64) },
        outlets: undefined,
        limits: defaultFlowLimits,
      }),
      ...options.ports,
    });
    await gateway.start();
    const agent = new Agent({ connect: { socketPath: gateway.admin.socket ?? "" } });
    const admin: Rig["admin"] = (path, init = {}) => fetch(`http://gateway${path}`, { ...init, dispatcher: agent });
    try {
      const { address } = gateway;
      await run({ dir, gateway, runner, journal, deadLetters, logs, url: `http://127.0.0.1:${address?.port}`, admin, config });
    } finally {
      await agent.destroy();
      await gateway.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Waits until `check` gives something; the test's own timeout ends it otherwise. */
export async function until<T>(check: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== null && found !== false) return found as NonNullable<Exclude<T, false>>;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A peer that speaks HTTP, for as long as `run` takes. */
export async function withPeer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  run: (url: string, server: Server) => Promise<void>,
): Promise<void> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
