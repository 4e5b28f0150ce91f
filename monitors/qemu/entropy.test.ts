/** With an entropy device the guest looks at the seeds of messages; whatever it finds, the message runs as it would without. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { encodeEvent } from "#abi";
import { writePvh } from "#image";
import { deliver } from "../monitor.case.ts";
import { bootConsole, type ConsoleEnd } from "./console.ts";
import { namelessFile } from "./elf-file.ts";
import { probeQemu } from "./probe.ts";
import { imageOf, qemuMissing } from "./testing/guests.ts";
import { Vm } from "./vm.ts";

const missing = qemuMissing();
const complaint = /^mayfly: .*(seed|entropy).*$/m;

describe("the seeds of messages", missing === undefined ? {} : { skip: missing }, () => {
  let elf: Uint8Array;
  before(async () => {
    const source = 'import { flow } from "mayfly"; export default flow(() => crypto.randomUUID());';
    elf = writePvh(await imageOf(source));
  });
  const boot = (seed: Uint8Array, entropy = true, append = ""): Promise<ConsoleEnd> =>
    bootConsole(elf, { message: deliver({ seed }), entropy, append });
  const zeroes = new Uint8Array(32);
  const random = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1);

  test("are looked at where there is an entropy device: zeroes are told, the effects are the same", async () => {
    const [checked, alone, fine] = [await boot(zeroes), await boot(zeroes, false), await boot(random, true, "verbose")];
    match(checked.console, /^mayfly: the seed of a message is all zeroes$/m);
    equal(complaint.exec(alone.console), null);
    match(fine.console, /by the local APIC's timer; seeds are checked|as KVM tells; seeds are checked/);
    equal(/^mayfly: the seed/m.exec(fine.console), null);
    ok(checked.effects !== undefined && alone.effects !== undefined);
    deepEqual(checked.effects, alone.effects);
  });

  test("a seed that comes twice in a row is told, once", async () => {
    const file = await namelessFile(elf);
    const qemu = await probeQemu();
    const vm = await new Promise<Vm>((done) => {
      const booting: Vm = new Vm(qemu, { elf: file.fd, memoryBytes: 64 * 1024 ** 2, entropy: true }, () => done(booting));
    });
    const run = (seed: Uint8Array): ReturnType<Vm["run"]> =>
      vm.run({ kind: "start", slot: 0, limitPages: 256, frame: encodeEvent(deliver({ seed })) });
    for (const seed of [random, zeroes.map((_, index) => index), random, random, random]) equal((await run(seed)).status, "complete");
    await vm.stop();
    equal(vm.console.match(/two messages in a row have the same seed/g)?.length, 1, vm.console);
    await file.close();
  });

  test("a device that gives nothing but zeroes is told, and nothing is held against it", async () => {
    const options = ["-object", "rng-random,id=zeroes,filename=/dev/zero", "-device", "virtio-rng-device,rng=zeroes"];
    const end = await bootConsole(elf, { message: deliver({ seed: zeroes }), options });
    match(end.console, /^mayfly: the entropy device gives nothing, or nothing but zeroes$/m);
    equal(/^mayfly: the seed/m.exec(end.console), null);
    equal(end.effects?.at(-1)?.kind, "done");
  });
});
