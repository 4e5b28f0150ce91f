/** Console output and end of machines that fail on bare metal: real virtual machines, each failing on purpose. */
import { equal, match, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { metalProgram, writePvh } from "#image";
import { trapNumber } from "../../compiler/assemble/code.ts";
import { bootConsole } from "./console.ts";
import { guestExit } from "./exit-codes.ts";
import { buildTestDrivers, imageOf, qemuMissing } from "./testing/guests.ts";

const missing = qemuMissing();
const pageFault = guestExit.exception + 14;
const trap = (kind: Parameters<typeof trapNumber>[0]): number => guestExit.trap + trapNumber(kind);

/** Name for `fault=`, exit code of the guest, console output, and the function it names. */
const cases: readonly (readonly [fault: string, code: number, text: RegExp, name: string])[] = [
  ["divide", trap("integer divide by zero"), /divide error \(0\).*integer divide by zero/, "divideByZero"],
  ["overflow", trap("integer overflow"), /divide error \(0\).*integer overflow/, "overflowDivision"],
  ["unreachable", trap("unreachable"), /invalid opcode \(6\).*unreachable/, "reachUnreachable"],
  ["null", pageFault, /page fault \(14\)/, "readNull"],
  ["text", pageFault, /page fault \(14\)/, "writeText"],
  ["header", pageFault, /page fault \(14\)/, "writeHeader"],
  ["unmapped", pageFault, /page fault \(14\)/, "readUnmapped"],
  ["memory", trap("memory access out of bounds"), /memory access out of bounds/, "readBeyondMemory"],
  ["window", trap("memory access out of bounds"), /memory access out of bounds/, "readBeyondWindow"],
  ["canonical", guestExit.exception + 13, /general protection \(13\)/, "readNonCanonical"],
  ["task", guestExit.exception + 13, /general protection \(13\)/, "loadBadTask"],
  ["stack", trap("stack exhausted"), /page fault \(14\).*stack exhausted/, "nestDeep"],
  ["double", guestExit.exception + 8, /double fault \(8\)/, "faultTwice"],
  ["exhaust", guestExit.noMemory, /no more memory/, ""],
];

describe("a machine on bare metal that goes wrong", { ...(missing === undefined ? {} : { skip: missing }) }, () => {
  let elf: Uint8Array;
  before(async () => {
    const program = metalProgram({ platform: await buildTestDrivers("faults.ts") });
    elf = writePvh(await imageOf('import { flow } from "mayfly"; export default flow(() => 1);'), { program });
  });

  for (const [fault, code, text, name] of cases) {
    test(`${fault}: says so with the function's name and ends with its code`, async () => {
      const end = await bootConsole(elf, { append: `fault=${fault}`, channel: false, memoryBytes: 128 * 1024 ** 2 });
      match(end.console, /^started/m);
      const lines = end.console.split("\n");
      const line = lines.find((one) => one.startsWith("mayfly: ")) ?? "";
      match(line, text, end.console);
      if (name !== "") {
        match(line, /in drivers\.\S+\+0x[0-9a-f]+, rip [0-9a-f]{16}/);
        ok(line.includes(name), line);
        match(end.console, /rax [0-9a-f]{16} .*rcx [0-9a-f]{16}/);
        match(end.console, /cr2 [0-9a-f]{16}/);
      }
      equal(end.code, code, end.text);
    });
  }

  test("the rate of the time stamp counter is made of what KVM tells", async () => {
    const end = await bootConsole(elf, { append: "fault=clock", channel: false });
    match(end.console, /^2000000 ticks\n3000000 ticks$/m);
  });

  test("what is no fault goes on: a stack that grows by megabytes", async () => {
    const end = await bootConsole(elf, { append: "fault=deep", channel: false, memoryBytes: 128 * 1024 ** 2 });
    match(end.console, /went on/);
    equal(end.code, guestExit.clean);
  });
});
