/** A microVM with its own network, from outside: HTTP through QEMU's user networking, many requests, its memory, its end. */
import { equal, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Service } from "#abi";
import { writeMicrovm } from "#image";
import { freePort } from "../../base/testing/free-port.ts";
import { findQemu } from "./command.ts";
import { guestCode, guestExit } from "./exit-codes.ts";
import { imageOf, qemuMissing } from "./testing/guests.ts";
import { debugExit, microvm } from "./testing/standalone.ts";

const missing = qemuMissing();
const mib = 2 ** 20;
const patienceMs = 20_000;
const pageBytes = 4096;

const limits = { memoryBytes: 16 * mib, cpuMs: 500, timeMs: 10_000, sends: 100, logBytes: 65_536 };
function serviceOf(imageSha256: string): Service {
  const route = { timeoutMs: 0, bodyLimit: mib, auth: undefined, idHeader: "x-request-id", fullErrors: false };
  return {
    ...{ name: "echo", version: "1", imageSha256, drainMs: 5000, logLevel: "info" },
    ...{ port: 80, healthPort: 0, syslog: undefined, auth: [] },
    flows: [
      {
        ...{ name: "echo", concurrency: 8, queue: 64, limits, outlets: [], lines: [], schedules: [], values: {} },
        routes: [{ path: "/echo", methods: ["POST"], ...route }],
      },
    ],
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

class Guest {
  readonly port: number;
  readonly pid: number;
  console = "";
  readonly ended: Promise<number | null>;
  readonly type: (text: string) => void;
  readonly kill: () => void;

  private constructor(port: number, program: string, values: readonly string[], folder: string) {
    this.port = port;
    const child = spawn(program, values, { stdio: ["pipe", "pipe", "pipe"], timeout: 120_000, killSignal: "SIGKILL" });
    this.pid = child.pid ?? 0;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (this.console += text));
    this.ended = new Promise((done) =>
      child.on("close", (status) => void rm(folder, { recursive: true, force: true }).then(() => done(status))),
    );
    this.type = (text) => void child.stdin.write(text);
    this.kill = () => void child.kill("SIGKILL");
  }

  static async boot(memory: string): Promise<Guest> {
    const image = await imageOf('import { flow } from "mayfly"; let n = 0; export default flow((msg) => `${msg.text()} ${n++}`);');
    const folder = await mkdtemp(join(tmpdir(), "mayfly-serving-"));
    const file = join(folder, "app.elf");
    await writeFile(file, writeMicrovm(image, serviceOf(image.sha256)));
    const port = await freePort();
    const values = [
      ...[...microvm, ...debugExit, "-accel", "tcg", "-cpu", "max", "-m", memory, "-smp", "1", "-nodefaults", "-no-user-config"],
      ...["-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", file, "-device", "virtio-rng-device"],
      ...["-netdev", `user,id=n,hostfwd=tcp:127.0.0.1:${port}-:80`, "-device", "virtio-net-device,netdev=n"],
    ];
    return new Guest(port, findQemu(), values, folder);
  }

  ask(agent: Agent, method: string, path: string, body = ""): Promise<Answer> {
    return new Promise((done, failed) => {
      const asked = request({ host: "127.0.0.1", port: this.port, method, path, agent, timeout: patienceMs }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => done({ status: response.statusCode ?? 0, body: text })).on("error", failed);
      });
      asked.on("error", failed).on("timeout", () => asked.destroy(new Error("no answer")));
      asked.end(body);
    });
  }

  /** Waits for the first answer: user networking accepts connections long before the guest does. */
  async ready(agent: Agent): Promise<void> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      try {
        const { status } = await this.ask(agent, "GET", "/healthz");
        if (status === 200) return;
      } catch (error) {
        if (performance.now() > untilMs) throw new Error(`it does not serve: ${this.console}`, { cause: error });
      }
    }
  }

  /** Memory of QEMU's that is in use, in bytes. */
  residentBytes(): number {
    return Number(readFileSync(`/proc/${this.pid}/statm`, "latin1").split(" ")[1]) * pageBytes;
  }
}

describe("a microVM that serves", missing === undefined ? {} : { skip: missing }, () => {
  for (const memory of ["5M", "64M"])
    test(`with ${memory}: requests on one connection and on many, each in a fresh machine; memory stays as it is; Ctrl-C ends it`, async () => {
      const guest = await Guest.boot(memory);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      try {
        await guest.ready(agent);
        const run = async (count: number, with_: Agent): Promise<void> => {
          for (let index = 0; index < count; index++) {
            const { status, body } = await guest.ask(with_, "POST", "/echo", `message ${index}`);
            equal(`${status} ${body}`, `200 message ${index} 0`);
          }
        };
        await run(500, agent);
        await run(100, new Agent({ keepAlive: false }));
        const before = guest.residentBytes();
        await run(500, agent);
        await run(100, new Agent({ keepAlive: false }));
        const grown = guest.residentBytes() - before;
        ok(grown < mib, `it grew by ${grown} bytes`);
        equal((await guest.ask(agent, "GET", "/nothing")).status, 404);
        equal((await guest.ask(agent, "POST", "/echo", "x".repeat(2 * mib))).status, 413);
        equal((await guest.ask(agent, "POST", "/echo", "after it")).body, "after it 0");
        guest.type("\x03");
        equal(guestCode(await guest.ended), guestExit.clean, guest.console);
      } finally {
        agent.destroy();
        guest.kill();
        await guest.ended;
      }
    });
});
