/** A guest with kernel/drivers/testing/net.ts for its network's module, and the other end of its Ethernet: datagrams on the loopback. */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findQemu } from "../command.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const headBytes = 26;
/** A bound against hanging; nothing is expected to come near. */
const patienceMs = 20_000;

interface Builder {
  buildNet(root: string, entry: string): Promise<Uint8Array>;
}

/** kernel/drivers/testing/net.ts, compiled. */
export async function buildTestNet(): Promise<Uint8Array> {
  const builder = (await import(new URL("../../../../scripts/build-kernel.mjs", import.meta.url).href)) as Builder;
  return builder.buildNet(root, join("..", "drivers", "testing", "net.ts"));
}

export interface Told {
  readonly name: string;
  readonly first: number;
  readonly second: number;
  readonly bytes: Buffer;
}

export interface MachineOptions {
  /** `-M` and what the machine needs besides network and randomness. */
  readonly machine?: readonly string[];
  readonly memory?: string;
  /** `device` on an mmio bus, `pci` on PCI. */
  readonly bus?: "device" | "pci";
  /** False leaves the entropy device away. */
  readonly entropy?: boolean;
  readonly network?: boolean;
  readonly config?: string;
  /** More of QEMU's own options. */
  readonly options?: readonly string[];
}

export interface JobOptions {
  /** Memory in units of 64 KiB. */
  readonly units?: number;
  readonly cpuMs?: number;
}
export interface JobEnd {
  /** 17 complete, 18 interrupted, 19 escaped, 20 no memory, 21 lied. */
  readonly kind: number;
  readonly effects: Buffer;
}

export const microvm: readonly string[] = [
  ...["-M", "microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=on", "-global", "virtio-mmio.force-legacy=false"],
];
export const debugExit: readonly string[] = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];

export class EtherGuest {
  console = "";
  readonly ended: Promise<{ readonly status: number | null; readonly signal: string | null }>;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #port: number;
  readonly #queue: Told[] = [];
  #wake: (() => void) | undefined;

  private constructor(child: ChildProcess, socket: Socket, port: number, folder: string) {
    this.#child = child;
    this.#socket = socket;
    this.#port = port;
    const print = (text: string): void => {
      this.console += text.replaceAll("\r", "");
      this.#wake?.();
    };
    child.stdout?.setEncoding("utf8").on("data", print);
    child.stderr?.setEncoding("utf8").on("data", print);
    socket.on("message", (frame) => {
      if (frame.length < headBytes || frame.readUInt16BE(12) !== 0x88b5) return;
      this.#queue.push({
        name: frame.toString("latin1", 14, 18).trim(),
        first: frame.readUInt32LE(18),
        second: frame.readUInt32LE(22),
        bytes: frame.subarray(headBytes),
      });
      this.#wake?.();
    });
    this.ended = new Promise((done) => {
      child.on("close", (status, signal) => {
        socket.close();
        this.#wake?.();
        void rm(folder, { recursive: true, force: true }).then(() => done({ status, signal }));
      });
    });
  }

  static async boot(elf: Uint8Array, options: MachineOptions = {}): Promise<EtherGuest> {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-ether-"));
    const file = join(folder, "app.elf");
    await writeFile(file, elf);
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const spare = createSocket("udp4");
    spare.bind(0, "127.0.0.1");
    await once(spare, "listening");
    const port = spare.address().port;
    spare.close();
    await once(spare, "close");
    const bus = options.bus ?? "device";
    const ends = `local.type=inet,local.host=127.0.0.1,local.port=${port},remote.type=inet,remote.host=127.0.0.1,remote.port=${socket.address().port}`;
    const values = [
      ...(options.machine ?? [...microvm, ...debugExit]),
      ...["-accel", "tcg", "-cpu", "max", "-m", options.memory ?? "64M", "-smp", "1", "-nodefaults", "-no-user-config"],
      ...["-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", file],
      ...(options.network === false ? [] : ["-netdev", `dgram,id=n,${ends}`, "-device", `virtio-net-${bus},netdev=n`]),
      ...(options.entropy === false ? [] : ["-device", `virtio-rng-${bus}`]),
      ...(options.options ?? []),
    ];
    if (options.config !== undefined) {
      await writeFile(join(folder, "config.json"), options.config);
      values.push("-initrd", join(folder, "config.json"));
    }
    const child = spawn(findQemu(), values, { stdio: ["pipe", "pipe", "pipe"], cwd: "/", timeout: 120_000, killSignal: "SIGKILL" });
    return new EtherGuest(child, socket, port, folder);
  }

  /** Sends the module a command, in a frame. */
  send(name: string, ...parts: readonly (number | Uint8Array)[]): void {
    const body = parts.map((part) => {
      if (typeof part !== "number") return part;
      const word = Buffer.alloc(4);
      word.writeUInt32LE(part >>> 0);
      return word;
    });
    const head = Buffer.from(`\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5${name.padEnd(4)}`, "latin1");
    const frame = Buffer.concat([head, ...body]);
    this.#socket.send(frame.length < 60 ? Buffer.concat([frame, Buffer.alloc(60 - frame.length)]) : frame, this.#port, "127.0.0.1");
  }

  /** Waits until `found` has something; fails when the guest ends first. */
  async #until<T>(what: string, found: () => T | undefined): Promise<T> {
    const untilMs = performance.now() + patienceMs;
    while (performance.now() < untilMs) {
      const value = found();
      if (value !== undefined) return value;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) break;
      await new Promise<void>((done) => {
        const timer = setTimeout(done, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
    throw new Error(`no ${what} came; console: ${this.console}`);
  }

  /** The next frame of a name. */
  hear(name: string): Promise<Told> {
    return this.#until(`frame '${name}'`, () => {
      const at = this.#queue.findIndex((told) => told.name === name);
      return at < 0 ? undefined : this.#queue.splice(at, 1)[0];
    });
  }

  /** The first `count` matches of a global pattern on the console. */
  read(pattern: RegExp, count: number): Promise<readonly string[]> {
    return this.#until(`${count} × ${pattern.source}`, () => {
      const matches = this.console.match(pattern) ?? [];
      return matches.length < count ? undefined : matches;
    });
  }

  /** Sends a command, returns the answer. */
  async ask(name: string, ...parts: readonly (number | Uint8Array)[]): Promise<Told> {
    this.send(name, ...parts);
    return this.hear(name);
  }

  /** Effects of a job: outcome and frame. */
  async job(kind: number, slot: number, event: Uint8Array, more: JobOptions = {}): Promise<JobEnd> {
    this.send("job", kind, slot, 0, event.length, more.units ?? 256, more.cpuMs ?? 500, event);
    const parts: Buffer[] = [];
    for (;;) {
      const told = await this.hear("done");
      const left = told.second - parts.reduce((sum, part) => sum + part.length, 0);
      parts.push(told.bytes.subarray(0, left));
      if (told.bytes.length >= left) return { kind: told.first & 0xffff, effects: Buffer.concat(parts) };
    }
  }

  /** Bytes to its serial console. */
  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }
}
