import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { Service } from "#abi";
import { buildImage, serviceOf, writeMicrovm } from "#image";
import { services } from "../abi/testing/services.ts";

const service = fc.sample(services, { seed: 7, numRuns: 1 })[0] as Service;

test("an ELF tells its service, is the same each time, and damaged ones are refused or read", { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-microvm-"));
  try {
    await writeFile(join(folder, "flow.ts"), 'import { flow } from "mayfly"; export default flow((msg) => msg.text());');
    const { image } = await buildImage(join(folder, "flow.ts"), { check: false });
    const elf = writeMicrovm(image, service);
    deepEqual(writeMicrovm(image, service), elf);
    const read = serviceOf(elf);
    ok(read.ok, read.ok ? "" : read.error);
    equal(read.value.imageSha256, service.imageSha256);
    equal(read.value.flows.length, service.flows.length);

    const head = elf.slice(0, 4096);
    ok(serviceOf(head).ok, "the headers and notes are at the begin of the file");
    fc.assert(
      fc.property(fc.nat(head.length - 1), fc.nat(255), fc.nat(head.length), (at, byte, length) => {
        const damaged = head.slice();
        damaged[at] = byte;
        for (const each of [damaged, damaged.subarray(0, length)]) {
          const found = serviceOf(each);
          if (!found.ok) ok(found.error.length > 0);
        }
      }),
      { numRuns: 2_000 },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("what is no ELF, or has no service, says so", () => {
  for (const [bytes, why] of [
    [new Uint8Array(0), /not a 64-bit ELF/],
    [new TextEncoder().encode("flows: {}"), /not a 64-bit ELF/],
    [Uint8Array.from({ length: 64 }, (_, index) => [0x7f, 0x45, 0x4c, 0x46, 2][index] ?? 0), /has no service: build one/],
  ] as const) {
    const found = serviceOf(bytes);
    ok(!found.ok);
    match(found.error, why);
  }
});
