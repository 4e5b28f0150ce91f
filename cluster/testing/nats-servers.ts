/**
 * NATS servers with JetStream for tests: one, or three that are one cluster, on the loopback, each with its data in a temporary folder that
 * survives stop and start. A string in place of servers is the reason why they can't be started.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { type JetStreamManager, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { freePort } from "../../base/testing/free-port.ts";
import { installed, PrivateBroker } from "../../connectors/testing/brokers.ts";

export interface ServersOptions {
  /** 1, or 3: enough for streams of three replicas. */
  readonly count: 1 | 3;
  /** The server's program; default: `nats-server` of the path. */
  readonly program?: string;
  /** Further arguments of every server. */
  readonly more?: readonly string[];
}

const patienceMs = 30_000;

/** Rejects while the leader does not know so many servers yet. */
async function place(manager: JetStreamManager, replicas: number): Promise<void> {
  await manager.streams.add({ name: "PLACED", subjects: ["placed"], num_replicas: replicas, storage: StorageType.Memory });
  await manager.streams.delete("PLACED");
}

export class NatsServers {
  /** In the order they were started. */
  readonly each: readonly PrivateBroker[];

  private constructor(each: readonly PrivateBroker[]) {
    this.each = each;
  }

  /** Resolves once JetStream answers. */
  static async start({ count, program = "nats-server", more = [] }: ServersOptions): Promise<NatsServers | string> {
    if (!installed(program)) return `no ${program} to start`;
    const routes: number[] = [];
    while (routes.length < count) routes.push(await freePort());
    const each: PrivateBroker[] = [];
    try {
      for (const route of routes)
        each.push(
          await PrivateBroker.start((dir, port) => [
            program,
            ...["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", join(dir, "store"), "-n", `server-${route}`],
            ...(count === 1 ? [] : clusterArguments(route, routes)),
            ...more,
          ]),
        );
      const servers = new NatsServers(each);
      await servers.ready();
      return servers;
    } catch (error) {
      for (const broker of each) await broker.remove();
      throw error;
    }
  }

  /** All addresses, as `cluster.nats` and the connectors take them. */
  get url(): string {
    return this.each.map(({ port }) => `nats://127.0.0.1:${port}`).join(",");
  }

  at(index: number): PrivateBroker {
    const broker = this.each[index];
    if (broker === undefined) throw new Error(`there are ${this.each.length} servers, not ${index + 1}`);
    return broker;
  }

  /** Resolves once JetStream answers through each server, which a majority must have elected a leader for, and that leader places a stream on all. */
  async ready(): Promise<void> {
    for (const { port } of this.each) await this.#until(`127.0.0.1:${port}`, async (manager) => void (await manager.getAccountInfo()));
    if (this.each.length > 1) await this.#until(`127.0.0.1:${this.at(0).port}`, (manager) => place(manager, this.each.length));
  }

  async #until(servers: string, run: (manager: JetStreamManager) => Promise<void>): Promise<void> {
    let last: unknown;
    for (const end = Date.now() + patienceMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const connection = await connect({ servers, timeout: 1_000, reconnect: false }).catch((error: unknown) => void (last = error));
      if (!connection) continue;
      try {
        await run(await jetstreamManager(connection, { timeout: 1_000 }));
        return;
      } catch (error) {
        last = error;
      } finally {
        await connection.close();
      }
    }
    throw new Error("JetStream does not answer", { cause: last });
  }

  /** SIGKILL; `up` starts it again on its data. */
  async kill(index: number): Promise<void> {
    await this.at(index).down("SIGKILL");
  }

  async up(index: number): Promise<void> {
    await this.at(index).up();
  }

  /** Stops it in its tracks until `resume`. Resolves once each of its threads stands, where the system tells. */
  async pause(index: number): Promise<void> {
    const broker = this.at(index);
    broker.send("SIGSTOP");
    for (const end = Date.now() + patienceMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 1)))
      if (await isStopped(broker.pid)) return;
  }

  resume(index: number): void {
    this.at(index).send("SIGCONT");
  }

  /** Ends them all and removes their data. */
  async remove(): Promise<void> {
    await Promise.all(this.each.map((broker) => broker.remove()));
  }
}

/** True where every thread of the process is stopped (proc(5): state T), or that can't be known. */
async function isStopped(pid: number): Promise<boolean> {
  const folder = `/proc/${pid}/task`;
  const threads = await readdir(folder).catch(() => []);
  const states = await Promise.all(threads.map((thread) => readFile(`${folder}/${thread}/stat`, "utf8").catch(() => ") T")));
  return states.every((stat) => stat.slice(stat.lastIndexOf(")") + 2).startsWith("T"));
}

/** Clients keep to the addresses they were given, so that a test may put proxies before the servers. */
function clusterArguments(route: number, routes: readonly number[]): string[] {
  const others = routes.filter((each) => each !== route).map((each) => `nats://127.0.0.1:${each}`);
  const own = `nats://127.0.0.1:${route}`;
  return ["-cluster_name", "tests", "-cluster", own, "-routes", others.join(","), "--no_advertise=true"];
}
