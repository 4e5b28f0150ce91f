/**
 * The reference flow as a microVM that serves HTTP by itself, beside Linux with Node and a guest that ends at once, all on the same QEMU: from
 * exec to the first reply; requests a second over user networking; the least memory. `node dist/bench/standalone.js` prints it alone.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildImage, writeMicrovm } from "#image";
import { probeQemu, type Qemu } from "#monitors";
import { machineCommand, plainService, userNetwork } from "#standalone";
import { freePort } from "../base/testing/free-port.ts";
import { emptyGuest, emptyGuestStatus } from "../monitors/qemu/empty-guest.ts";
import { type LinuxPeer, linuxPeer } from "./linux-peer.ts";
import { type Row, sample, say } from "./rows.ts";
import { orderText, referenceFlow } from "./start.ts";

const suite = "standalone";
const mib = 2 ** 20;
/** Longest wait for a first answer, and between two questions: QEMU keeps a connection for each. */
const patience = { startMs: 20_000, everyMs: 10 };
const linuxPatience = { startMs: 60_000, everyMs: 200 };

interface Guest {
  readonly child: ChildProcess;
  readonly url: string;
  readonly end: () => Promise<void>;
}

function spawned(program: string, values: readonly string[], host: number): Guest {
  const child = spawn(program, values, { stdio: ["ignore", "ignore", "ignore"], cwd: "/", env: {} });
  const ended = new Promise<void>((done) => child.once("close", () => done()));
  return {
    child,
    url: `http://127.0.0.1:${host}/`,
    end: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Starts an ELF with QEMU as `mayfly up` does. */
async function startGuest(qemu: Qemu, folder: string, elf: string, memoryBytes: number): Promise<Guest> {
  const host = await freePort();
  const { program, arguments: values } = machineCommand(qemu, {
    elf,
    config: join(folder, "config.json"),
    console: join(folder, "console.log"),
    monitor: join(folder, `qmp-${host}`),
    memoryBytes,
    ports: [{ address: "127.0.0.1", host, guest: 80 }],
    tap: undefined,
    mac: "52:54:00:00:00:01",
    foreground: true,
  });
  return spawned(program, values, host);
}

/** Linux wants an interval timer to measure its clock with; all else is the same. */
async function startLinux({ path, accelerator }: Qemu, { kernel, initrd }: LinuxPeer, memoryBytes: number): Promise<Guest> {
  const host = await freePort();
  const values = [
    ...["-M", "microvm,acpi=on,rtc=on,usb=off,graphics=off", "-accel", accelerator === "kvm" ? "kvm" : "tcg,tb-size=64"],
    ...["-cpu", accelerator === "kvm" ? "host" : "max", "-m", `${memoryBytes / mib}M`, "-smp", "1", "-nodefaults", "-no-user-config"],
    ...["-display", "none", "-no-reboot", "-global", "virtio-mmio.force-legacy=false"],
    ...["-netdev", `user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:${host}-:80`, "-device", "virtio-net-device,netdev=net"],
    ...["-serial", "null", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 rdinit=/init"],
  ];
  return spawned(path, values, host);
}

/** One order; rejects without a whole answer. */
function order(url: string, agent: Agent | false): Promise<string> {
  return new Promise((done, failed) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(orderText) };
    const asked = request(url, { method: "POST", headers, agent, timeout: 5_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => (response.statusCode === 200 ? done(text) : failed(new Error(`${response.statusCode} ${text}`))));
      response.on("error", failed);
    });
    asked.on("error", failed).on("timeout", () => asked.destroy(new Error("no answer")));
    asked.end(orderText);
  });
}

/** Milliseconds to the first answer; undefined where the guest ends or says nothing. Questions do not wait for those before. */
async function firstAnswer(guest: Guest, since: number, { startMs, everyMs }: typeof patience): Promise<number | undefined> {
  let tookMs: number | undefined;
  while (tookMs === undefined && guest.child.exitCode === null && performance.now() - since < startMs) {
    order(guest.url, false).then(
      () => (tookMs ??= performance.now() - since),
      () => undefined,
    );
    await pause(everyMs);
  }
  return tookMs;
}

async function runEmpty(qemu: Qemu, folder: string): Promise<number> {
  const since = performance.now();
  const { child } = await startGuest(qemu, folder, join(folder, "empty.elf"), 64 * mib);
  const status = await new Promise((done) => child.once("close", done));
  if (status !== emptyGuestStatus) throw new Error(`the empty guest ended with ${String(status)}`);
  return performance.now() - since;
}

/** Both in turn, so that both meet the same disturbance. */
async function startRow({ qemu, folder, elf }: Setting, count: number): Promise<{ readonly row: Row; readonly quickest: number }> {
  const [mine, theirs]: [number[], number[]] = [[], []];
  for (let i = 0; i < count; i++) {
    const since = performance.now();
    const guest = await startGuest(qemu, folder, elf, 64 * mib);
    const took = await firstAnswer(guest, since, patience);
    await guest.end();
    if (took === undefined) throw new Error("the microVM did not answer");
    mine.push(took);
    theirs.push(await runEmpty(qemu, folder));
  }
  const [own, peer] = [sample(mine), sample(theirs)];
  const times = own.p50 / peer.p50;
  const row = {
    suite,
    name: "exec of QEMU to the first HTTP reply, p50",
    value: own.p50,
    unit: "ms",
    beside: { name: "an empty PVH guest, exec to exit", value: peer.p50 },
    ratio: peer.p50 / own.p50,
    aim: `≤ 1.9 times the empty guest, now ${times.toFixed(2)}`,
    met: times <= 1.9,
  };
  return { row, quickest: Math.min(...mine) };
}

/** wrk where it is installed, since a load generator in JavaScript takes the processor from the guest. */
async function perSecond(url: string, connections: number, seconds: number, folder: string): Promise<number> {
  const script = join(folder, "post.lua");
  await writeFile(script, `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[${orderText}]]\n`);
  const { status, stdout } = spawnSync("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url], { encoding: "utf8" });
  if (status === 0) {
    if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`the load met errors: ${stdout}`);
    return Number(/Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1]);
  }
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const since = performance.now();
  let count = 0;
  const lane = async (): Promise<void> => {
    for (; performance.now() - since < seconds * 1000; count++) await order(url, agent);
  };
  await Promise.all(Array.from({ length: connections }, lane));
  agent.destroy();
  return count / ((performance.now() - since) / 1000);
}

async function loadRows({ qemu, folder, elf }: Setting, seconds: number): Promise<Row[]> {
  const guest = await startGuest(qemu, folder, elf, 64 * mib);
  try {
    if ((await firstAnswer(guest, performance.now(), patience)) === undefined) throw new Error("the microVM did not answer");
    await perSecond(guest.url, 16, seconds, folder); // warm-up: QEMU translates what runs
    const rows: Row[] = [];
    for (const connections of [1, 16]) {
      const value = await perSecond(guest.url, connections, seconds, folder);
      const row = {
        suite,
        name: `requests, a fresh machine each, ${connections} connection${connections === 1 ? "" : "s"}`,
        value,
        unit: "per second",
      };
      rows.push(connections === 1 ? row : { ...row, aim: "≥ 6,000 under TCG", met: value >= 6_000 });
    }
    return rows;
  } finally {
    await guest.end();
  }
}

/** The smallest of some sizes, in MiB and ascending, with which a guest answers; each has its time. */
async function leastMemory(
  sizes: readonly number[],
  start: (memoryBytes: number) => Promise<Guest>,
  most: typeof patience,
): Promise<number> {
  for (const size of sizes) {
    const guest = await start(size * mib);
    const answered = await firstAnswer(guest, performance.now(), most);
    await guest.end();
    if (answered !== undefined) return size;
  }
  return Number.NaN;
}

interface Setting {
  readonly qemu: Qemu;
  readonly folder: string;
  readonly elf: string;
  readonly quick: boolean;
}

async function memoryRow({ qemu, folder, elf }: Setting): Promise<Row> {
  const least = await leastMemory(
    Array.from({ length: 62 }, (_, index) => index + 3),
    (bytes) => startGuest(qemu, folder, elf, bytes),
    { ...patience, startMs: 3_000 },
  );
  return { suite, name: "least guest memory", value: least, unit: "MiB", aim: "≤ 5 MiB", met: least <= 5 };
}

/** The rows of Linux with Node, each beside the microVM's own. */
async function linuxRows({ qemu, quick, folder }: Setting, own: Figures): Promise<Row[]> {
  const peer = linuxPeer();
  if (typeof peer === "string") return [{ suite, name: "Linux with Node", value: Number.NaN, unit: "", skipped: peer }];
  const name = "Linux with Node";
  const starts: number[] = [];
  for (let i = 0; i < (quick ? 2 : 4); i++) {
    const since = performance.now();
    const guest = await startLinux(qemu, peer, 512 * mib);
    const took = await firstAnswer(guest, since, linuxPatience);
    await guest.end();
    if (took === undefined)
      return [
        {
          suite,
          name,
          value: Number.NaN,
          unit: "",
          skipped: `it did not answer within ${linuxPatience.startMs / 1000} s: on a busy computer it can't measure its clock under TCG`,
        },
      ];
    starts.push(took);
  }
  const guest = await startLinux(qemu, peer, 512 * mib);
  let rate: number;
  try {
    await firstAnswer(guest, performance.now(), linuxPatience);
    await perSecond(guest.url, 16, 2, folder);
    rate = await perSecond(guest.url, 16, quick ? 2 : 5, folder);
  } finally {
    await guest.end();
  }
  const least = await leastMemory([224, 256, 288, 320, 352, 384], (bytes) => startLinux(qemu, peer, bytes), {
    ...linuxPatience,
    startMs: 20_000,
  });
  const start = Math.min(...starts);
  return [
    {
      suite,
      name: "first HTTP reply, quickest",
      value: own.startMs,
      unit: "ms",
      beside: { name, value: start },
      ratio: start / own.startMs,
      aim: "≥ 50 × quicker",
      met: start / own.startMs >= 50,
    },
    {
      suite,
      name: "requests, 16 connections",
      value: own.perSecond,
      unit: "per second",
      beside: { name, value: rate },
      ratio: own.perSecond / rate,
      aim: "≥ 10 ×",
      met: own.perSecond / rate >= 10,
    },
    {
      suite,
      name: "least guest memory",
      value: own.memoryMib,
      unit: "MiB",
      beside: { name, value: least },
      ratio: least / own.memoryMib,
      aim: "≥ 40 × less",
      met: least / own.memoryMib >= 40,
    },
  ];
}

/** The microVM's, to stand beside others. */
interface Figures {
  readonly startMs: number;
  readonly perSecond: number;
  readonly memoryMib: number;
}

export async function standaloneRows(quick: boolean): Promise<Row[]> {
  const qemu = await probeQemu().catch((error: Error) => error);
  if (qemu instanceof Error) return [{ suite, name: "microVMs", value: Number.NaN, unit: "", skipped: qemu.message }];
  say(qemu.reason);
  const folder = await mkdtemp(join(tmpdir(), "mayfly-standalone-"));
  try {
    const { image } = await buildImage(referenceFlow, { check: false });
    const bytes = writeMicrovm(image, plainService(image));
    const setting: Setting = { qemu, folder, elf: join(folder, "app.elf"), quick };
    await writeFile(setting.elf, bytes);
    await writeFile(join(folder, "empty.elf"), emptyGuest());
    await writeFile(join(folder, "config.json"), JSON.stringify({ network: userNetwork }));
    const start = await startRow(setting, quick ? 8 : 24);
    const load = await loadRows(setting, quick ? 2 : 5);
    const memory = await memoryRow(setting);
    const figures = { startMs: start.quickest, perSecond: load.at(-1)?.value ?? Number.NaN, memoryMib: memory.value };
    const size = { suite, name: "size of the ELF", value: bytes.length / 1e6, unit: "MB", aim: "≤ 2 MB", met: bytes.length <= 2e6 };
    const by = qemu.accelerator === "kvm" ? "KVM" : "TCG";
    return [start.row, ...load, memory, size, ...(await linuxRows(setting, figures))].map((row) => ({
      ...row,
      name: `${row.name} (${by})`,
    }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await standaloneRows(process.argv.includes("--quick"))) console.log(JSON.stringify(row));
  process.exit(0);
}
