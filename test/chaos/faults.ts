/**
 * The schedule of harm, drawn from the seed. Two hands work at the same time: one on the gateway, one on everything around it, so that
 * a gateway is killed while its broker restarts and its disk is full. What is done is drawn; when exactly it hits is the machine's.
 */
import type { Proxy } from "../../connectors/testing/proxy.ts";
import { type Prng, prng } from "#base";
import type { SetClock } from "./clock.ts";
import type { SmallDisk } from "./disk.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import type { Ledger } from "./ledger.ts";
import type { Project } from "./project.ts";
import { pause, type Transport } from "./transports/transport.ts";

export interface FaultPorts {
  readonly seed: number;
  readonly gateway: GatewayProcess;
  readonly project: Project;
  readonly transports: readonly Transport[];
  /** Between gateway and sink. */
  readonly sinkProxy: Proxy;
  readonly disk: SmallDisk | undefined;
  readonly clock: SetClock;
  readonly ledger: Ledger;
  /** Average time between two kills. */
  readonly messagesPerKill: number;
  readonly say: (line: string) => void;
  /** Once true, both loops stop. */
  readonly over: () => boolean;
}

/** The clock is set this far off, in both directions. */
const clockMs = 15_000;

const mostWorkMs = 6_000;

type Weighted = readonly [weight: number, name: string, act: () => Promise<void>];

export class Faults {
  readonly #ports: FaultPorts;
  readonly #gatewayRandom: Prng;
  readonly #worldRandom: Prng;
  readonly counts: Record<string, number> = {};
  kills = 0;

  constructor(ports: FaultPorts) {
    this.#ports = ports;
    this.#gatewayRandom = prng(ports.seed);
    this.#worldRandom = prng(ports.seed ^ 0x5eed);
  }

  async run(): Promise<void> {
    await Promise.all([
      this.#hand(this.#gatewayRandom, this.#gatewayActs(), 0, 300),
      this.#hand(this.#worldRandom, this.#worldActs(), 400, 2_500),
    ]);
    this.heal();
  }

  /** Everything is as it should be again; brokers were started by whoever stopped them. */
  heal(): void {
    const { transports, sinkProxy, disk } = this.#ports;
    for (const proxy of [sinkProxy, ...transports.map((transport) => transport.proxy)]) {
      proxy.refuse(false);
      proxy.stall(false);
    }
    disk?.empty();
    if (this.#ports.clock.offsetMs !== 0) this.#setClock(0);
  }

  /** Machines that sleep until a date are the ones it concerns. */
  #setClock(offsetMs: number): void {
    this.#ports.clock.set(offsetMs);
    for (const { stepped } of this.#ports.transports) stepped?.(Date.now(), offsetMs);
  }

  async #hand(random: Prng, acts: readonly Weighted[], leastMs: number, spreadMs: number): Promise<void> {
    const total = acts.reduce((sum, [weight]) => sum + weight, 0);
    while (!this.#ports.over()) {
      await pause(leastMs + random.below(spreadMs));
      if (this.#ports.over()) return;
      let drawn = random.below(total);
      const act = acts.find(([weight]) => (drawn -= weight) < 0);
      if (act === undefined) continue;
      const [, name, work] = act;
      this.#count(name);
      this.#cut();
      await work();
      this.#cut();
    }
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    this.#ports.say(name);
  }

  #cut(): void {
    this.#ports.ledger.cut(Date.now());
  }

  async #kill(): Promise<void> {
    this.kills += 1;
    await this.#ports.gateway.kill();
  }

  /** Starts it again, and again while the disk is full, as whatever supervises it would. */
  async revive(): Promise<void> {
    const { gateway } = this.#ports;
    while (!gateway.ended) {
      gateway.start();
      if (await gateway.ready()) return;
      if (gateway.running) {
        this.#count(`did not start in time: ${gateway.lastAnswer}`);
        this.#cut(); // it may have worked for long, only not answered that it does
        await this.#kill();
        this.#cut();
      }
      await pause(200);
    }
  }

  /**
   * Waits until `count` messages came out: a kill must hit a gateway that works, also where starting takes long because the
   * machine is slow or busy. Not forever: the services it needs may be stalled or down.
   */
  async #work(messages: number): Promise<void> {
    const { ledger, over } = this.#ports;
    const enough = ledger.received + messages;
    for (const untilMs = Date.now() + mostWorkMs; ledger.received < enough && Date.now() < untilMs && !over(); ) await pause(5);
  }

  #gatewayActs(): readonly Weighted[] {
    const { gateway, project } = this.#ports;
    const random = this.#gatewayRandom;
    return [
      [
        50,
        "kill -9",
        async () => {
          await this.#work(random.below(2 * this.#ports.messagesPerKill));
          await this.#kill();
          await this.revive();
        },
      ],
      [
        18,
        "kill -9 during start",
        async () => {
          await this.#kill();
          for (let times = 1 + random.below(3); times > 0; times -= 1) {
            gateway.start();
            await pause(100 + random.below(1_500));
            await this.#kill();
          }
          await this.revive();
        },
      ],
      [
        14,
        "kill -9 during drain",
        async () => {
          const stopping = gateway.stop(random.below(400));
          const how = await stopping;
          if (how === "SIGKILL") this.kills += 1;
          await this.revive();
        },
      ],
      [
        8,
        "SIGTERM and start",
        async () => {
          const how = await gateway.stop(30_000);
          if (how !== "exit code 0") this.#count(`SIGTERM ended with ${how}`);
          await this.revive();
        },
      ],
      [
        10,
        "upgrade and reload",
        async () => {
          await project.upgrade();
          gateway.reload();
          await pause(random.below(800)); // the next act may well hit in the middle of it
        },
      ],
    ];
  }

  #worldActs(): readonly Weighted[] {
    const { transports, sinkProxy, disk } = this.#ports;
    const random = this.#worldRandom;
    const proxies = [sinkProxy, ...transports.map((transport) => transport.proxy)];
    const anyProxy = (): Proxy => proxies[random.below(proxies.length)] as Proxy;
    const acts: Weighted[] = [
      [30, "connections cut", async () => anyProxy().cut()],
      [8, "all connections cut", async () => proxies.forEach((proxy) => proxy.cut())],
      [
        14,
        "connection stalled",
        async () => {
          const proxy = anyProxy();
          proxy.stall(true);
          await pause(200 + random.below(3_500));
          proxy.stall(false);
        },
      ],
      [
        10,
        "connections refused",
        async () => {
          const proxy = anyProxy();
          proxy.refuse(true);
          proxy.cut();
          await pause(random.below(1_500));
          proxy.refuse(false);
        },
      ],
    ];
    if (transports.some(({ stepped }) => stepped !== undefined))
      acts.push([9, "clock set", async () => this.#setClock(random.below(2 * clockMs + 1) - clockMs)]);
    for (const transport of transports)
      if (transport.broker !== undefined) acts.push([6, `${transport.name} restarted`, () => this.#restart(transport)]);
    if (disk !== undefined) acts.push([8, "disk filled", () => this.#fill(disk)]);
    return acts;
  }

  async #restart({ broker, stops }: Transport): Promise<void> {
    const random = this.#worldRandom;
    await broker?.down(stops[random.below(stops.length)] ?? "SIGTERM");
    this.#cut();
    await pause(random.below(1_000));
    for (let tries = 1; ; tries += 1) {
      try {
        return await broker?.up();
      } catch (error) {
        if (tries === 3) throw error; // a broker that does not come back is no fault of the gateway's: the run ends
        await broker?.down("SIGKILL");
      }
    }
  }

  async #fill(disk: SmallDisk): Promise<void> {
    disk.fill();
    await pause(500 + this.#worldRandom.below(3_000));
    disk.empty();
  }
}
