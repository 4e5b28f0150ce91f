/** Looks at this computer: each check says what it found and, when something is missing, how to get it. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { bytesText, msText } from "../format.ts";
import { cliLimits } from "../limits.ts";
import { clients } from "./clients.ts";
import type { Finding } from "./finding.ts";

export type { Finding };

const leastNode = [20, 20] as const;

function node(): Finding {
  const version = process.versions.node;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const fits = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  const found = { name: "Node", detail: `${version}, V8 ${process.versions.v8}`, value: version };
  return fits ? { ...found, status: "ok" } : { ...found, status: "bad", remedy: `install Node ${leastNode.join(".")} or newer` };
}

function computer(): Finding {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const cores = availableParallelism();
  const detail = `${cores} ${cores === 1 ? "core" : "cores"} (${model}), ${bytesText(freemem())} of ${bytesText(totalmem())} memory free, ${platform()} ${release()} ${arch()}`;
  return { name: "Computer", status: "ok", detail, value: { cores, memoryBytes: totalmem(), platform: platform(), arch: arch() } };
}

async function kernelFiles(): Promise<Finding> {
  try {
    const { kernelArtifacts } = await import("#kernel");
    const { hash, engineVersion } = kernelArtifacts();
    return {
      name: "Embedded monitor",
      status: "ok",
      detail: `${engineVersion}, kernel ${hash.slice(0, 12)}`,
      value: { engine: engineVersion, kernel: hash },
    };
  } catch (error) {
    return { name: "Embedded monitor", status: "bad", detail: (error as Error).message, remedy: "run `npm run build`" };
  }
}

/** Machines as processes of their own: Linux on x86-64 with seccomp. The monitor itself knows best whether it can. */
async function processes(): Promise<Finding> {
  const name = "Process monitor";
  try {
    const { processMonitor } = await import("#monitors");
    await processMonitor({ workers: 1 }).close();
    return { name, status: "ok", detail: "machines can run as processes under seccomp (`monitor: process`)" };
  } catch (error) {
    return {
      name,
      status: "missing",
      detail: (error as Error).message,
      remedy: "needs Linux on x86-64; the embedded monitor runs everywhere",
    };
  }
}

function firstLine(command: string, values: readonly string[]): Promise<string | undefined> {
  return new Promise((done) => {
    execFile(command, values, { timeout: 5000 }, (error, stdout) => done(error === null ? stdout.split("\n")[0] : undefined));
  });
}

async function qemu(): Promise<Finding> {
  const line = await firstLine("qemu-system-x86_64", ["--version"]);
  if (line === undefined)
    return {
      name: "QEMU",
      status: "missing",
      detail: "qemu-system-x86_64 is not installed: the monitor `qemu` can't be used",
      remedy: "Debian, Ubuntu: apt install qemu-system-x86 · Fedora: dnf install qemu-system-x86 · macOS: brew install qemu",
    };
  return { name: "QEMU", status: "ok", detail: line, value: /version (\S+)/.exec(line)?.[1] };
}

/** KVM works only when the processor has the extension and its device opens for writing: either alone is often found in containers. */
async function kvm(): Promise<Finding> {
  const name = "KVM";
  const cpuinfo = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const flag = /^flags\s*:.*\b(vmx|svm)\b/m.exec(cpuinfo)?.[1];
  let fault: string | undefined;
  try {
    await (await open("/dev/kvm", constants.O_RDWR)).close();
  } catch (error) {
    fault = (error as NodeJS.ErrnoException).code ?? "unknown";
  }
  const value = { cpuFlag: flag ?? null, deviceOpens: fault === undefined };
  if (flag !== undefined && fault === undefined) return { name, status: "ok", detail: `/dev/kvm opens, the processor has ${flag}`, value };
  const processor = flag === undefined ? "the processor shows neither vmx nor svm" : `the processor has ${flag}`;
  const device = fault === undefined ? "/dev/kvm opens" : `/dev/kvm does not open (${fault})`;
  const remedy =
    fault === "EACCES"
      ? "join its group: usermod -aG kvm $USER, then log in again"
      : flag === undefined
        ? "enable virtualization in the firmware, or nested virtualization on the host; without it QEMU emulates, slowly"
        : "modprobe kvm_intel or kvm_amd; in a container pass the device (--device /dev/kvm)";
  return { name, status: "missing", detail: `${processor}, ${device}`, remedy, value };
}

function reachable(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: "localhost", port, timeout: cliLimits.probeMs });
    const end = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket
      .on("connect", () => end(true))
      .on("timeout", () => end(false))
      .on("error", () => end(false));
  });
}

const brokers = [
  ["RabbitMQ", 5672, "rabbitmq-server"],
  ["NATS", 4222, "nats-server"],
  ["Mosquitto", 1883, "mosquitto"],
  ["Redis", 6379, "redis-server"],
  ["PostgreSQL", 5432, "postgresql"],
  ["MariaDB", 3306, "mariadb-server"],
] as const;

async function broker([name, port, debian]: (typeof brokers)[number]): Promise<Finding> {
  if (await reachable(port)) return { name, status: "ok", detail: `something listens on localhost:${port}`, value: port };
  return { name, status: "missing", detail: `nothing listens on localhost:${port}`, remedy: `to try it here: apt install ${debian}` };
}

/** How long the disk below the current folder takes to keep 4 KiB: what every acknowledged message waits for. */
async function disk(): Promise<Finding> {
  const name = "Disk";
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(process.cwd(), ".mayfly-doctor-"));
    const file = await open(join(folder, "probe"), "w");
    const times: number[] = [];
    for (let round = 0; round < 20; round++) {
      const started = performance.now();
      await file.write(new Uint8Array(4096));
      await file.datasync();
      times.push(performance.now() - started);
    }
    await file.close();
    times.sort((a, b) => a - b);
    const median = times[10] ?? 0;
    const worst = times.at(-1) ?? 0;
    const detail = `fdatasync of 4 KiB here: ${msText(median)} median, ${msText(worst)} at worst`;
    return { name, status: "ok", detail, value: { medianMs: median, worstMs: worst } };
  } catch (error) {
    return {
      name,
      status: "missing",
      detail: `this folder is not writable: ${(error as Error).message}`,
      remedy: "serve from a writable folder",
    };
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

export async function examine(): Promise<Finding[]> {
  const found = await Promise.all([node(), computer(), kernelFiles(), processes(), qemu(), kvm(), ...brokers.map(broker)]);
  return [...found, ...(await clients()), await disk()];
}
