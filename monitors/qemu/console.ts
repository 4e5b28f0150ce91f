/** One virtual machine by hand: its console as it comes, a message if there is one, and what its end means. */
import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { decodeEffects, type DeliverEvent, type Effect, encodeEvent, hardLimits } from "#abi";
import { CodedError } from "#base";
import { type Qemu, qemuCommand } from "./command.ts";
import { elfPath, namelessFile } from "./elf-file.ts";
import { describeExit, type GuestEnd, guestCode } from "./exit-codes.ts";
import { FrameReader, fromGuest, type GuestFrame, guestHead, toGuest } from "./wire.ts";
import { probeQemu } from "./probe.ts";

export interface ConsoleOptions {
  /** Takes the console's text as it comes; control characters other than line ends are taken out. */
  readonly console?: (text: string) => void;
  /** A message for it. Without one it is ended as soon as it is ready. */
  readonly message?: DeliverEvent;
  /** 64 MiB by default. */
  readonly memoryBytes?: number;
  /** The guest's command line, `verbose` for the memory map. */
  readonly append?: string;
  /** False leaves the channel away: the guest then ends by itself, without taking messages. */
  readonly channel?: boolean;
  /** Gives it an entropy device: it then says on the console when the message's seed looks like none. */
  readonly entropy?: boolean;
  /** Killed after so many milliseconds; 60 seconds by default. */
  readonly timeoutMs?: number;
  readonly qemu?: Qemu;
  /** More of QEMU's own options. */
  readonly options?: readonly string[];
}

export interface ConsoleEnd {
  /** The code the guest ended with, undefined when QEMU ended otherwise. */
  readonly code: number | undefined;
  /** `clean`: as it was told. */
  readonly end: GuestEnd;
  /** The end as a sentence. */
  readonly text: string;
  readonly console: string;
  /** Microseconds between the guest's first instruction and ready. */
  readonly bootMicros: number | undefined;
  /** The same in ticks of the guest's time stamp counter: instructions, when QEMU counts them. */
  readonly bootTicks: bigint | undefined;
  /** Effects of the message's first step. */
  readonly effects: readonly Effect[] | undefined;
  /** Milliseconds between exec and ready, and exec and the answer. */
  readonly readyMs: number | undefined;
  readonly answerMs: number | undefined;
}

const consoleBytes = 1024 * 1024;

interface Conversation {
  bootMicros?: number;
  bootTicks?: bigint;
  effects?: readonly Effect[];
  readyMs?: number;
  answerMs?: number;
}

/** Speaks with the guest: its readiness, the message, the answer, the end. */
function converse(channel: Socket, message: DeliverEvent | undefined, sinceMs: number, said: Conversation): void {
  const reader = new FrameReader();
  const send = (kind: number, body: Uint8Array, argument: number): void => {
    channel.write(guestHead(kind, 0, body.length, argument));
    channel.write(body);
  };
  const accept = ({ kind, argument, body }: GuestFrame): void => {
    if (kind === fromGuest.ready) {
      said.bootMicros = argument;
      if (body.length === 24) said.bootTicks = new DataView(body.buffer, body.byteOffset).getBigUint64(16, true);
      said.readyMs = performance.now() - sinceMs;
      if (message !== undefined) return send(toGuest.start, encodeEvent(message), hardLimits.memoryBytes / 65_536);
    } else {
      said.answerMs = performance.now() - sinceMs;
      const decoded = decodeEffects(body);
      if (decoded.ok) said.effects = decoded.value;
    }
    send(toGuest.stop, new Uint8Array(0), 0);
  };
  channel
    .on("error", () => undefined)
    .on("data", (bytes: Buffer) => {
      reader.push(bytes);
      for (let frame = reader.take(); frame !== undefined; frame = reader.take()) {
        if (typeof frame === "string") return void channel.destroy();
        accept(frame);
      }
    });
}

/** Boots an ELF that `writePvh` wrote. Throws MF_QEMU_MISSING, MF_QEMU_FAILED. */
export async function bootConsole(elf: Uint8Array, options: ConsoleOptions = {}): Promise<ConsoleEnd> {
  const qemu = options.qemu ?? (await probeQemu());
  const { channel = true, memoryBytes = 64 * 1024 ** 2, append = "", entropy = false, timeoutMs = 60_000 } = options;
  const file = await namelessFile(elf);
  try {
    const command = qemuCommand(qemu, { elf: elfPath, memoryBytes, append, channel, entropy });
    const { program } = command;
    const values = [...command.arguments, ...(options.options ?? [])];
    return await new Promise<ConsoleEnd>((done, failed) => {
      const sinceMs = performance.now();
      const child = spawn(program, values, {
        stdio: ["ignore", "pipe", "pipe", channel ? "pipe" : "ignore", file.fd],
        cwd: "/",
        env: {},
        timeout: timeoutMs,
        killSignal: "SIGKILL",
      });
      let text = "";
      const print = (part: string): void => {
        const clean = part.replace(/[^\n\x20-\x7e]/g, "");
        text = (text + clean).slice(-consoleBytes);
        options.console?.(clean);
      };
      child.stdout?.setEncoding("latin1").on("data", print);
      child.stderr?.setEncoding("latin1").on("data", print);
      const said: Conversation = {};
      if (channel) converse(child.stdio[3] as Socket, options.message, sinceMs, said);
      child.on("error", (cause) => failed(new CodedError("MF_QEMU_FAILED", `QEMU can't be started: ${cause.message}`, { cause })));
      child.on("close", (status, signal) => {
        const { bootMicros, bootTicks, effects, readyMs, answerMs } = said;
        done({
          code: guestCode(status),
          ...describeExit(status, signal),
          console: text,
          bootMicros,
          bootTicks,
          effects,
          readyMs,
          answerMs,
        });
      });
    });
  } finally {
    await file.close();
  }
}
