/** The proof that every message meets the image: all of the guest's memory compared with it, after flows that do their worst. */
import { equal, ok } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { encodeEvent, type FlowLimits } from "#abi";
import { prng } from "#base";
import { type Image, writePvh } from "#image";
import { buildCaseImages, deliver, type FlowName, replyText, resolve } from "../monitor.case.ts";
import { type FileHandle } from "node:fs/promises";
import { namelessFile } from "./elf-file.ts";
import { type Probed, probeQemu } from "./probe.ts";
import { qemuMonitorForTest } from "./qemu.ts";
import { qemuMissing } from "./testing/guests.ts";
import { Vm, type VmAnswer } from "./vm.ts";

const missing = qemuMissing();
const skip = missing === undefined ? {} : { skip: missing };
const mib = 1024 * 1024;

/** A virtual machine without a monitor, for one image. */
class Guest {
  readonly vm: Vm;
  readonly #file: FileHandle;
  private constructor(vm: Vm, file: FileHandle) {
    this.vm = vm;
    this.#file = file;
  }

  static async boot(image: Image, memoryBytes = 96 * mib): Promise<Guest> {
    const qemu: Probed = await probeQemu();
    const file = await namelessFile(writePvh(image));
    return new Promise((done) => {
      const vm: Vm = new Vm(qemu, { elf: file.fd, memoryBytes }, () => done(new Guest(vm, file)));
    });
  }

  start(slot: number, body: string, limitPages = 256): Promise<VmAnswer> {
    return this.vm.run({ kind: "start", slot, limitPages, frame: encodeEvent(deliver({ body })) });
  }

  answer(slot: number, call: number, body: string): Promise<VmAnswer> {
    return this.vm.run({ kind: "step", slot, limitPages: 0, frame: encodeEvent(resolve(call, body)) });
  }

  /** Differences between memory and image; fails when the comparison looked at less than all pages of the image. */
  async differences(): Promise<number> {
    const frame = await this.vm.check();
    ok(frame !== undefined, `it ended: ${this.vm.epitaph}`);
    const view = new DataView(frame.body.buffer, frame.body.byteOffset, frame.body.length);
    equal(view.getUint32(4, true), this.vm.figures?.mostPages, "every page of the window was looked at");
    return frame.argument;
  }

  async close(): Promise<void> {
    this.vm.kill("stopped", "");
    await this.vm.ended;
    await this.#file.close();
  }
}

describe("memory between messages", skip, () => {
  let images: ReadonlyMap<FlowName, Image>;
  before(async () => {
    images = await buildCaseImages();
  });
  const boot = (name: FlowName): Promise<Guest> => Guest.boot(images.get(name) as Image);

  for (const name of [
    "counter",
    "pollution",
    "grow",
    "bomb",
    "recursion",
    "throws",
    "rejects",
    "stalls",
    "cycle",
    "manySends",
    "random",
  ] as const) {
    test(`is the image again after ${name}`, async () => {
      const guest = await boot(name);
      try {
        equal(await guest.differences(), 0, "before the first message");
        for (let round = 0; round < 3; round++) {
          const answer = await guest.start(0, "x");
          ok(["complete", "escaped"].includes(answer.status), `${answer.status} ${answer.detail}`);
          equal(await guest.differences(), 0, `after message ${round}`);
        }
      } finally {
        await guest.close();
      }
    });
  }

  test("ends where the limit says, whatever the virtual machine has, and where that has no more, whatever the limit says", async () => {
    const exhausted = ({ status, effects }: VmAnswer): boolean => status === "escaped" || Buffer.from(effects).includes("MF_MEMORY_LIMIT");
    const plenty = await boot("bomb");
    try {
      ok(exhausted(await plenty.start(0, "", 64)));
      ok((plenty.vm.figures?.mostPages ?? 0) > 64 * 16, "there would have been more");
      equal(await plenty.differences(), 0);
    } finally {
      await plenty.close();
    }
    const scarce = await Guest.boot(images.get("bomb") as Image, 12 * mib);
    try {
      const answer = await scarce.start(0, "", 4096);
      ok(exhausted(answer) || answer.status === "no-memory", `${answer.status} ${answer.detail}`);
    } finally {
      await scarce.close();
    }
  });

  test("is the image again after an interrupted step", async () => {
    const guest = await boot("loop");
    try {
      const running = guest.start(0, "spin");
      setTimeout(() => guest.vm.interrupt(), 50);
      equal((await running).status, "interrupted");
      equal(await guest.differences(), 0);
      equal((await guest.start(0, "fine")).status, "complete");
    } finally {
      await guest.close();
    }
  });

  test("is not the image while a machine waits on it: the comparison finds what a message wrote", async () => {
    const guest = await boot("enrich");
    try {
      equal((await guest.start(3, "")).status, "complete");
      // `check` parks the machine that waits; what it wrote is out of the way then, and back when it goes on.
      equal(await guest.differences(), 0);
      const answer = await guest.answer(3, 0, '{"name":"Ada"}');
      equal(answer.status, "complete");
      ok(Buffer.from(answer.effects).includes('{"answer":{"name":"Ada"}}'));
      equal(await guest.differences(), 0);
    } finally {
      await guest.close();
    }
  });

  test("machines parked side by side keep what is theirs, in whatever order they go on", async () => {
    const guest = await boot("many");
    try {
      const random = prng(20260102);
      const machines = Array.from({ length: 60 }, (_, slot) => ({ slot, calls: 0 }));
      for (const { slot } of machines) equal((await guest.start(slot, "")).status, "complete");
      const open = [...machines];
      while (open.length > 0) {
        const index = random.below(open.length);
        const machine = open[index] as { slot: number; calls: number };
        const answer = await guest.answer(machine.slot, machine.calls, `{"value":${machine.slot + machine.calls}}`);
        equal(answer.status, "complete");
        if (random.below(8) === 0) equal(await guest.differences(), 0);
        if (++machine.calls < 5) continue;
        ok(Buffer.from(answer.effects).includes(String(5 * machine.slot + 10)), `slot ${machine.slot}`);
        open.splice(index, 1);
      }
      equal(await guest.differences(), 0);
    } finally {
      await guest.close();
    }
  });
});

describe("ten thousand messages", skip, () => {
  const limits: FlowLimits = { memoryBytes: 16 * mib, cpuMs: 10_000, timeMs: 600_000, sends: 1000, logBytes: 65_536 };
  const monitor = qemuMonitorForTest({ perFlow: 1 });
  after(() => monitor.close());

  test("go through one virtual machine, each meets the image, and none leaves a frame behind", async () => {
    const image = (await buildCaseImages()).get("counter") as Image;
    const loaded = await monitor.load(image);
    let free: number | undefined;
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.all(Array.from({ length: 500 }, () => monitor.start(loaded, deliver(), limits).first));
      for (const outcome of outcomes) equal(replyText(outcome), '{"count":1,"left":1}');
      equal(monitor.vms.length, 1);
      const checked = await monitor.vms[0]?.check();
      equal(checked?.argument, 0, `differences after ${500 * (round + 1)} messages`);
      const left = checked === undefined ? 0 : new DataView(checked.body.buffer, checked.body.byteOffset).getUint32(28, true);
      free ??= left;
      equal(left, free, "free frames");
    }
    equal(monitor.stats().replaced, 0);
  });
});
