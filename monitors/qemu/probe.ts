/** Which accelerator works here. KVM's device may be there and emulate every instruction, far slower than TCG: the CPU's flag decides. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { CodedError } from "#base";
import { type Accelerator, findQemu, type Qemu, qemuCommand } from "./command.ts";
import { elfPath, namelessFile } from "./elf-file.ts";
import { emptyGuest, emptyGuestStatus } from "./empty-guest.ts";
import { qemuLimits } from "./limits.ts";

export interface Probed extends Qemu {
  /** A sentence for the log: which accelerator, and why. */
  readonly reason: string;
}

/** Runs the empty guest; the complaint when it did not end as it should. */
async function complaint(qemu: Qemu, elf: number): Promise<string | undefined> {
  const { program, arguments: values } = qemuCommand(qemu, { elf: elfPath, memoryBytes: 16 * 1024 ** 2, channel: false });
  return new Promise((done) => {
    const child = spawn(program, values, {
      stdio: ["ignore", "ignore", "pipe", "ignore", elf],
      cwd: "/",
      env: {},
      timeout: qemuLimits.probeMs,
      killSignal: "SIGKILL",
    });
    let text = "";
    child.stderr?.setEncoding("utf8").on("data", (part: string) => (text = (text + part).slice(-2048)));
    child.on("error", (error) => done(error.message));
    child.on("close", (status, signal) => done(status === emptyGuestStatus ? undefined : `${text.trim()} (status ${status ?? signal})`));
  });
}

function processorVirtualises(): boolean {
  try {
    return /^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "latin1"));
  } catch {
    return false;
  }
}

let probing: Promise<Probed> | undefined;

/** Once a process, when it succeeds. Throws MF_QEMU_MISSING, MF_QEMU_FAILED. */
export function probeQemu(): Promise<Probed> {
  if (probing !== undefined) return probing;
  const now = probe();
  now.catch(() => (probing = undefined)); // QEMU may be installed meanwhile
  probing = now;
  return now;
}

async function probe(): Promise<Probed> {
  const path = findQemu();
  const elf = await namelessFile(emptyGuest());
  try {
    const flag = processorVirtualises();
    const order: readonly Accelerator[] = flag ? ["kvm", "tcg"] : ["tcg"];
    const complaints: string[] = flag ? [] : ["the processor shows neither vmx nor svm"];
    for (const accelerator of order) {
      for (const sandbox of [true, false]) {
        const said = await complaint({ path, accelerator, sandbox }, elf.fd);
        if (said === undefined) return { path, accelerator, sandbox, reason: reason(accelerator, sandbox, complaints) };
        complaints.push(`${accelerator}${sandbox ? "" : " without sandbox"}: ${said}`);
      }
    }
    throw new CodedError("MF_QEMU_FAILED", `QEMU does not run an empty guest: ${complaints.join("; ")}`);
  } finally {
    await elf.close();
  }
}

function reason(accelerator: Accelerator, sandbox: boolean, complaints: readonly string[]): string {
  const why = complaints.length === 0 ? "" : ` (${complaints.join("; ")})`;
  return `qemu: ${accelerator === "kvm" ? "KVM" : "TCG, which emulates the processor"}${sandbox ? "" : ", without its system call filter"}${why}`;
}
