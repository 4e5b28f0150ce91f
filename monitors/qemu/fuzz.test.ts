/** The channel under random bytes, in both directions. The seed is printed by a failing assertion. */
import { equal, match, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { encodeEvent, hardLimits } from "#abi";
import { type Prng, prng } from "#base";
import { writePvh } from "#image";
import { deliver } from "../monitor.case.ts";
import { qemuCommand } from "./command.ts";
import { elfPath, namelessFile } from "./elf-file.ts";
import { guestCode, guestExit } from "./exit-codes.ts";
import { probeQemu } from "./probe.ts";
import { frameHeadBytes, FrameReader, fromGuest, guestHead, toGuest } from "./wire.ts";
import { imageOf, qemuMissing } from "./testing/guests.ts";

const missing = qemuMissing();

test("frames come together from pieces of any size, and random bytes are refused at once", () => {
  const random = prng(7);
  for (let round = 0; round < 300; round++) {
    const bodies = Array.from({ length: 1 + random.below(4) }, () =>
      Uint8Array.from({ length: random.below(200) }, () => random.below(256)),
    );
    const stream = Buffer.concat(bodies.flatMap((body, index) => [guestHead(fromGuest.complete, 0, body.length, index), body]));
    const reader = new FrameReader();
    let taken = 0;
    for (let at = 0; at < stream.length; ) {
      const length = 1 + random.below(40);
      reader.push(stream.subarray(at, at + length));
      at += length;
      for (let frame = reader.take(); frame !== undefined; frame = reader.take()) {
        ok(typeof frame !== "string", `round ${round}: ${String(frame)}`);
        equal(frame.argument, taken);
        equal(Buffer.compare(frame.body, bodies[taken++] as Uint8Array), 0);
      }
    }
    equal(taken, bodies.length);
    equal(reader.held, 0);
  }
  for (let round = 0; round < 300; round++) {
    const reader = new FrameReader();
    reader.push(Uint8Array.from({ length: frameHeadBytes + random.below(100) }, () => random.below(256)));
    equal(typeof reader.take(), "string");
  }
  const reader = new FrameReader();
  reader.push(guestHead(fromGuest.complete, 0, hardLimits.frameBytes + 1, 0));
  match(String(reader.take()), /announces/);
});

interface End {
  readonly status: number | null;
  readonly signal: string | null;
  readonly console: string;
  readonly answers: number;
}

/** Boots the ELF, sends it `bytes` when it is ready, then the stop frame; killed when it does not end by itself. */
async function feed(elf: number, bytes: Uint8Array): Promise<End> {
  const { program, arguments: values } = qemuCommand(await probeQemu(), { elf: elfPath, memoryBytes: 64 * 1024 ** 2, channel: true });
  return new Promise((done) => {
    const child = spawn(program, values, {
      stdio: ["ignore", "pipe", "inherit", "pipe", elf],
      cwd: "/",
      env: {},
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    const channel = child.stdio[3] as Socket;
    let [console, answers] = ["", 0];
    const reader = new FrameReader();
    child.stdout?.setEncoding("latin1").on("data", (text: string) => (console += text));
    channel
      .on("error", () => undefined)
      .on("data", (part: Buffer) => {
        reader.push(part);
        for (let frame = reader.take(); frame !== undefined && typeof frame !== "string"; frame = reader.take()) {
          if (frame.kind === fromGuest.ready) channel.write(Buffer.concat([bytes, guestHead(toGuest.stop, 0, 0, 0)]));
          else answers++;
        }
      });
    child.on("close", (status, signal) => done({ status, signal, console, answers }));
  });
}

/** An event whose frame was changed in some places, under a head that is right. */
function mutated(random: Prng): Uint8Array {
  const frame = encodeEvent(deliver({ body: "hello", headers: { a: "b" } }));
  for (let i = 1 + random.below(6); i > 0; i--) frame[random.below(frame.length)] = random.below(256);
  return Buffer.concat([guestHead(toGuest.start, 0, frame.length, 256), frame]);
}

describe("a guest fed with random bytes", { ...(missing === undefined ? {} : { skip: missing }) }, () => {
  let elf: Awaited<ReturnType<typeof namelessFile>>;
  before(async () => {
    elf = await namelessFile(writePvh(await imageOf('import { flow } from "mayfly"; export default flow((msg) => msg.text());')));
  });
  after(() => elf.close());

  test("ends and says why when what comes is no frame", async () => {
    const random = prng(11);
    for (let round = 0; round < 8; round++) {
      const end = await feed(
        elf.fd,
        Uint8Array.from({ length: 16 + random.below(5000) }, () => random.below(256)),
      );
      equal(guestCode(end.status), guestExit.protocol, `round ${round}: ${end.status} ${end.signal} ${end.console}`);
      match(end.console, /no frame/);
    }
  });

  test("ends on heads that make no sense: kinds, slots, lengths", async () => {
    for (const head of [
      guestHead(99, 0, 0, 0),
      guestHead(toGuest.start, 1024, 0, 0),
      guestHead(toGuest.start, 0, 0x7fffffff, 0),
      guestHead(0, 0, 0, 0),
    ]) {
      const end = await feed(elf.fd, head);
      equal(guestCode(end.status), guestExit.protocol, end.console);
    }
  });

  test("answers a misshapen event or ends by a trap of the compiled code; its drivers never fault, and it never hangs", async () => {
    const random = prng(13);
    let answered = 0;
    for (let round = 0; round < 12; round++) {
      const end = await feed(elf.fd, mutated(random));
      if (end.answers > 0) answered++;
      ok(!/mayfly: .* in drivers\./.test(end.console), `round ${round}: ${end.console}`);
      const code = guestCode(end.status);
      const trapped = code !== undefined && code >= guestExit.trap && code < guestExit.noMemory;
      ok(code === guestExit.clean || trapped, `round ${round}: ${end.status} ${end.signal} ${end.console}`);
    }
    ok(answered > 0);
  });
});
