/** Kernel files: what is read is the kernel with the hash that was asked for, or nothing, whatever the bytes are. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { kernelArtifacts, kernelHash } from "./artifacts.ts";
import { decodeKernel, encodeKernel } from "./kernel-file.ts";

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

test("any kernel comes back, and only under its own hash", () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, (engine, native, runtime) => {
      const hash = kernelHash([engine, native, runtime]);
      const file = encodeKernel({ engine, native, runtime, hash });
      const found = decodeKernel(file, hash);
      deepEqual(
        [found?.engine, found?.native, found?.runtime].map((part) => Buffer.from(part ?? [])),
        [engine, native, runtime].map((part) => Buffer.from(part)),
      );
      equal(decodeKernel(file, "0".repeat(64)), undefined);
    }),
  );
});

test("damaged bytes are no kernel", () => {
  const kernel = kernelArtifacts();
  const file = encodeKernel(kernel);
  equal(decodeKernel(file, kernel.hash)?.hash, kernel.hash);
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
      const damaged = cut ? file.slice(0, at) : Uint8Array.from(file);
      if (!cut) damaged[at] = (damaged[at] ?? 0) ^ flip;
      const found = decodeKernel(damaged, kernel.hash);
      equal(found === undefined || kernelHash([found.engine, found.native, found.runtime]) === kernel.hash, true);
    }),
    { numRuns: 30 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (random) => equal(decodeKernel(random, kernel.hash), undefined)));
});
