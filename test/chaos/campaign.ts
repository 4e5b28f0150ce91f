/** One run: everything is started, harmed for a while, healed, waited for, and judged. */
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../base/testing/free-port.ts";
import { Proxy } from "../../connectors/testing/proxy.ts";
import { prng } from "#base";
import { capture } from "#cli";
import { SetClock } from "./clock.ts";
import { SmallDisk } from "./disk.ts";
import { Faults } from "./faults.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { Ledger } from "./ledger.ts";
import { readArrival } from "./message.ts";
import type { ChaosOptions } from "./options.ts";
import { Project } from "./project.ts";
import { Prober } from "./prober.ts";
import type { ChaosReport } from "./report.ts";
import { Sink } from "./sink.ts";
import { openTransports } from "./transports/all.ts";
import { pause, type Transport } from "./transports/transport.ts";

/** Time without progress after which missing messages count as lost. Longer than the longest wait between two tries to connect. */
const patienceMs = 45_000;
/** After everything has arrived: what comes now, comes too often. */
const lateMs = 2_000;
const secondsPerKill = 3.5;
/** More is aimed at than is asked for: some acts of the schedule leave little time to work. */
const messagesAhead = 2;
/** Time after which Ctrl-C ends the run, whatever is still open. */
const goodbyeMs = 5_000;

export async function runChaos(options: ChaosOptions, say: (line: string) => void): Promise<ChaosReport> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-chaos-"));
  const campaign = new Campaign(options, say, dir);
  // Both hands still work: what they are at may keep something from closing.
  const interrupted = (): void => void Promise.race([campaign.close(), pause(goodbyeMs)]).finally(() => process.exit(130));
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    await campaign.open();
    return await campaign.run();
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
    await campaign.close();
  }
}

interface Parts {
  readonly sink: Sink;
  readonly project: Project;
  readonly gateway: GatewayProcess;
  readonly prober: Prober;
  readonly faults: Faults;
}

class Campaign {
  readonly #options: ChaosOptions;
  readonly #say: (line: string) => void;
  readonly #dir: string;
  readonly #run: string;
  readonly #ledger = new Ledger();
  readonly #troubles: string[] = [];
  readonly #skipped: string[] = [];
  readonly #closing: (() => Promise<void> | void)[] = [];
  readonly #transports: Transport[] = [];
  #startedMs = Date.now();
  #disk: SmallDisk | undefined;
  #keep = true;
  #parts: Parts | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ChaosOptions, say: (line: string) => void, dir: string) {
    this.#options = options;
    this.#say = say;
    this.#dir = dir;
    this.#run = `chaos-${process.pid}-${options.seed}`;
  }

  async open(): Promise<void> {
    const { only, seed, keys, kills, messages, minutes } = this.#options;
    const gatewayPort = await freePort();
    const receive = (text: string, key: string): void => this.#receive(text, key);
    const opened = await openTransports(only, { run: this.#run, receive }, gatewayPort);
    this.#skipped.push(...opened.skipped);
    for (const transport of opened.transports) this.#closing.push(() => transport.close());
    const lanes = opened.transports.flatMap((transport) => transport.lanes);
    for (const lane of lanes) for (const each of [lane, ...(lane.also ?? [])]) this.#ledger.open(each.name, each);
    this.#transports.push(...opened.transports);
    const cut = (key: string): void => this.#ledger.cutOne(key);
    const sink = await Sink.open({ oneIn: 40, random: prng(seed ^ 0x51), receive, cut });
    const sinkProxy = await Proxy.open({ host: "127.0.0.1", port: sink.port });
    this.#closing.push(
      () => sinkProxy.close(),
      () => sink.close(),
    );
    const disk = SmallDisk.mount(join(this.#dir, "disk"));
    if (typeof disk === "string") this.#skipped.push(`full disks: ${disk}`);
    else {
      this.#disk = disk;
      this.#closing.push(() => disk.unmount());
    }
    const project = new Project(this.#dir, lanes, { gatewayPort, sinkPort: sinkProxy.port, journalDir: "disk/journal" });
    await project.upgrade();
    const log = join(this.#dir, "gateway.log");
    const died = (how: string): void => this.#died(how);
    const clock = new SetClock(join(this.#dir, "clock"));
    const gateway = new GatewayProcess({ file: project.file, port: gatewayPort, log, clockFile: clock.file, died });
    this.#closing.push(() => gateway.end());
    const rate = Math.max(20, (messagesAhead * messages) / Math.min(minutes * 60 * 0.8, Math.max(kills, 3) * secondsPerKill));
    const prober = new Prober(lanes, this.#ledger, { run: this.#run, keys, rate });
    const faults = new Faults({
      seed,
      gateway,
      project,
      transports: opened.transports,
      sinkProxy,
      disk: this.#disk,
      clock,
      ledger: this.#ledger,
      messagesPerKill: Math.ceil((messagesAhead * messages) / Math.max(kills, 1)),
      say: (line) => this.#say(`${this.#state()}  ${line}`),
      over: () => this.#reached(),
    });
    this.#parts = { sink, project, gateway, prober, faults };
  }

  async run(): Promise<ChaosReport> {
    const { sink, gateway, prober, faults } = this.#need();
    this.#say(`seed ${this.#options.seed}, in ${this.#dir}`);
    for (const reason of this.#skipped) this.#say(`skipped: ${reason}`);
    gateway.start();
    if (!(await gateway.ready())) throw new Error(`the gateway does not start: see ${this.#dir}/gateway.log`);
    this.#startedMs = Date.now();
    prober.start();
    await faults.run();
    const harmedMs = Date.now() - this.#startedMs;
    const sentAtEnd = this.#ledger.sent;
    sink.calm();
    this.#say(`${this.#state()}  healed, waiting for what is under way`);
    if (!(await prober.stop(patienceMs))) this.#troubles.push(`not everything was acknowledged: ${JSON.stringify(prober.lastError)}`);
    await this.#settle();
    for (const { judge } of this.#transports) this.#troubles.push(...((await judge?.()) ?? []));
    const how = await gateway.stop(30_000);
    if (how !== "exit code 0") this.#troubles.push(`the last SIGTERM ended the gateway with ${how}`);
    await this.#inspect();
    return this.#report(harmedMs / 1000, sentAtEnd);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#parts?.faults.heal();
    // The gateway first: it must not see its peers go.
    for (const close of this.#closing.reverse()) await close();
    if (!this.#keep) await rm(this.#dir, { recursive: true, force: true });
  }

  #need(): Parts {
    if (this.#parts === undefined) throw new Error("not opened");
    return this.#parts;
  }

  #reached(): boolean {
    const { kills, messages, minutes } = this.#options;
    if (this.#closed !== undefined || Date.now() - this.#startedMs > minutes * 60_000) return true;
    return this.#need().faults.kills >= kills && this.#ledger.sent >= messages;
  }

  #state(): string {
    const { faults } = this.#need();
    const seconds = Math.round((Date.now() - this.#startedMs) / 1000);
    return `${String(seconds).padStart(5)} s  kills ${faults.kills}  sent ${this.#ledger.sent}  received ${this.#ledger.received}`;
  }

  #receive(text: string, idempotencyKey: string): void {
    const arrival = readArrival(text);
    if (arrival === undefined) this.#ledger.alien(`under ${idempotencyKey}: ${text.slice(0, 200)}`);
    else {
      this.#ledger.arrived(arrival, idempotencyKey, Date.now());
      for (const { saw } of this.#transports) saw?.(text);
    }
  }

  #died(how: string): void {
    const { faults } = this.#need();
    faults.counts["ended by itself"] = (faults.counts["ended by itself"] ?? 0) + 1;
    this.#say(`${this.#state()}  the gateway ended by itself: ${how}`);
    this.#troubles.push(`the gateway ended by itself: ${how}`);
  }

  /** Waits while there is progress; nothing is restarted for it, since what only a restart brings forth is stuck. */
  async #settle(): Promise<void> {
    const { gateway } = this.#need();
    let seen = this.#ledger.progress;
    for (let untilMs = Date.now() + patienceMs; this.#ledger.outstandingOfKeepers > 0 && Date.now() < untilMs; await pause(50)) {
      if (this.#ledger.progress === seen) continue;
      seen = this.#ledger.progress;
      untilMs = Date.now() + patienceMs;
    }
    if (this.#ledger.outstandingOfKeepers > 0) this.#troubles.push(`stuck; the gateway says: ${await gateway.readiness()}`);
    await pause(lateMs);
  }

  async #inspect(): Promise<void> {
    const check = await capture(["journal", "check", "-c", this.#need().project.file]);
    if (check.code !== 0) this.#troubles.push(`mayfly journal check: ${check.out}${check.err}`);
    const letters = await readdir(join(this.#dir, "dead-letters"), { recursive: true, withFileTypes: true }).catch(() => []);
    // A caller that waits is told of a failure and retries; anything kept of it besides is not a loss.
    const unwanted = letters.filter((entry) => entry.isFile() && !/[\\/](reply|ask)([\\/]|$)/.test(entry.parentPath));
    if (unwanted.length > 0) this.#troubles.push(`${unwanted.length} dead letters, for instance ${unwanted[0]?.name}`);
  }

  async #report(seconds: number, sentAtEnd: number): Promise<ChaosReport> {
    const { seed, kills, messages, keep } = this.#options;
    const { sink, gateway, project, prober, faults } = this.#need();
    const verdict = this.#ledger.verdict();
    const broken = verdict.broken || this.#troubles.length > 0;
    this.#keep = broken || keep;
    if (this.#keep && this.#disk !== undefined) await cp(this.#disk.dir, join(this.#dir, "disk-at-the-end"), { recursive: true });
    const short: string[] = [];
    if (faults.kills < kills) short.push(`${faults.kills} of ${kills} kills`);
    if (sentAtEnd < messages) short.push(`${sentAtEnd} of ${messages} messages`);
    return {
      seed,
      seconds,
      kills: faults.kills,
      faults: faults.counts,
      sinkFaults: sink.faults,
      starts: gateway.starts,
      upgrades: project.version - 1,
      resent: prober.resent,
      verdict,
      troubles: this.#troubles,
      figures: Object.assign({}, ...this.#transports.map(({ figures }) => figures?.() ?? {})) as Record<string, number>,
      skipped: this.#skipped,
      short,
      evidence: this.#keep ? this.#dir : undefined,
      broken,
    };
  }
}
