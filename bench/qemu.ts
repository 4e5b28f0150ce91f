/**
 * The reference flow in a virtual machine without an operating system: from exec of QEMU to the first reply, beside a guest that ends
 * at once on the same QEMU; through the monitor; what it needs of memory. `node dist/bench/qemu.js` prints it alone.
 */
import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DeliverEvent } from "#abi";
import { buildImage, type Image, writePvh } from "#image";
import { bootConsole, embeddedMonitor, type Monitor, probeQemu, type Qemu, qemuCommand, qemuMonitor } from "#monitors";
import { elfPath, namelessFile } from "../monitors/qemu/elf-file.ts";
import { emptyGuest, emptyGuestStatus } from "../monitors/qemu/empty-guest.ts";
import { durations, type Row, sample, say } from "./rows.ts";
import { deliverOrder, referenceFlow } from "./start.ts";

const suite = "qemu";
const mib = 1024 * 1024;

/** Milliseconds from exec to exit of the empty guest, with the same devices. */
async function runEmpty(qemu: Qemu, elf: number): Promise<number> {
  const { program, arguments: values } = qemuCommand(qemu, { elf: elfPath, memoryBytes: 64 * mib, channel: true });
  const started = performance.now();
  const child = spawn(program, values, { stdio: ["ignore", "ignore", "ignore", "pipe", elf], cwd: "/", env: {}, timeout: 10_000 });
  const status = await new Promise((done) => child.on("close", done));
  if (status !== emptyGuestStatus) throw new Error(`the empty guest ended with ${String(status)}`);
  return performance.now() - started;
}

/** Both in turn, so that both meet the same disturbance. */
async function startRows(qemu: Qemu, elf: Uint8Array, message: DeliverEvent, count: number): Promise<Row[]> {
  const [mine, theirs, insides]: [number[], number[], number[]] = [[], [], []];
  const empty = await namelessFile(emptyGuest());
  try {
    for (let i = 0; i < count; i++) {
      const end = await bootConsole(elf, { message, qemu });
      if (end.answerMs === undefined || end.effects === undefined) throw new Error(`no reply: ${end.text} ${end.console}`);
      mine.push(end.answerMs);
      insides.push((end.bootMicros ?? Number.NaN) / 1000);
      theirs.push(await runEmpty(qemu, empty.fd));
    }
  } finally {
    await empty.close();
  }
  const [own, peer, inside] = [sample(mine), sample(theirs), sample(insides)];
  const times = own.p50 / peer.p50;
  return [
    {
      suite,
      name: "exec of QEMU to the first reply, p50",
      value: own.p50,
      unit: "ms",
      beside: { name: "an empty PVH guest, exec to exit", value: peer.p50 },
      ratio: peer.p50 / own.p50,
      aim: `≤ 1.5 times the empty guest, now ${times.toFixed(2)}`,
      met: times <= 1.5,
    },
    { suite, name: "first instruction to ready, in the guest, p50", value: inside.p50, unit: "ms", aim: "≤ 2 ms", met: inside.p50 <= 2 },
    { suite, name: "… the quickest of them, least disturbed by others", value: Math.min(...insides), unit: "ms" },
  ];
}

/** A booted virtual machine that stands by takes a message. */
async function standbyRow(image: Image, message: DeliverEvent, count: number): Promise<Row> {
  const monitor = qemuMonitor({ isolation: "message", standby: 1, most: 4 });
  try {
    const loaded = await monitor.load(image);
    const once = async (): Promise<number> => {
      const started = performance.now();
      const machine = monitor.start(loaded, message);
      await machine.first;
      const took = performance.now() - started;
      machine.end();
      await pause(250); // the next one boots meanwhile
      return took;
    };
    await once();
    const all: number[] = [];
    for (let i = 0; i < count; i++) all.push(await once());
    return { suite, name: "booted and standing by: start to first effects, p50", value: sample(all).p50, unit: "ms" };
  } finally {
    await monitor.close();
  }
}

async function throughput(monitor: Monitor, image: Image, message: DeliverEvent, count: number): Promise<number> {
  try {
    const loaded = await monitor.load(image);
    const one = async (): Promise<void> => {
      const machine = monitor.start(loaded, message);
      const outcome = await machine.first;
      if (outcome.status === "broken") throw new Error(outcome.failure.message);
      machine.end();
    };
    await durations(50, one);
    const started = performance.now();
    const lanes = Array.from({ length: 8 }, async () => {
      for (let i = 0; i < count / 8; i++) await one();
    });
    await Promise.all(lanes);
    return count / ((performance.now() - started) / 1000);
  } finally {
    await monitor.close();
  }
}

/** The smallest -m, in MiB, with which the flow replies. */
async function memoryRow(qemu: Qemu, image: Image, elf: Uint8Array, message: DeliverEvent): Promise<Row> {
  const own = (image.manifest.memoryPages * 65_536) / mib;
  let least = Number.NaN;
  for (let size = 3; size <= 64 && Number.isNaN(least); size++) {
    const end = await bootConsole(elf, { message, qemu, memoryBytes: size * mib, timeoutMs: 5000 });
    if (end.effects !== undefined) least = size;
  }
  return {
    suite,
    name: "guest memory beyond the engine's own at rest",
    value: least - own,
    unit: "MiB",
    aim: `≤ 8 MiB (-m ${least}M, the engine at rest ${own.toFixed(2)} MiB)`,
    met: least - own <= 8,
  };
}

export async function qemuRows(quick: boolean): Promise<Row[]> {
  const qemu = await probeQemu().catch((error: Error) => error);
  if (qemu instanceof Error) return [{ suite, name: "virtual machines", value: Number.NaN, unit: "", skipped: qemu.message }];
  say(qemu.reason);
  const { image } = await buildImage(referenceFlow, { check: false });
  const elf = writePvh(image);
  const message = deliverOrder();
  const messages = quick ? 800 : 4000;
  const mine = await throughput(qemuMonitor({ perFlow: 1 }), image, message, messages);
  const embedded = await throughput(embeddedMonitor({ workers: 1 }), image, message, messages);
  return [
    ...(await startRows(qemu, elf, message, quick ? 8 : 24)),
    await standbyRow(image, message, quick ? 6 : 16),
    {
      suite,
      name: "messages through one virtual machine",
      value: mine,
      unit: "per second",
      beside: { name: "embedded, one worker", value: embedded },
      ratio: mine / embedded,
    },
    await memoryRow(qemu, image, elf, message),
    { suite, name: "size of the ELF", value: elf.length / mib, unit: "MiB", aim: "≤ 2 MB", met: elf.length <= 2e6 },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await qemuRows(process.argv.includes("--quick"))) console.log(JSON.stringify(row));
  process.exit(0);
}
