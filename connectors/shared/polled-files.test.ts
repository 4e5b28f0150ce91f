import { deepEqual, equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SourceContext, StagedBody } from "#gateway/contract";
import { testContext } from "../testing/rig.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { polledLimits } from "./limits.ts";
import { inTime, PolledFiles, WrongSize } from "./polled-files.ts";
import { ToldOnce } from "./told-once.ts";

/** Beyond `thresholdBytes` a body is staged; `staged` has the bytes that came so far. */
function files(thresholdBytes: number): { readonly context: SourceContext; readonly polled: PolledFiles; readonly staged: number[] } {
  const staged: number[] = [];
  const stage = async (body: AsyncIterable<Uint8Array>): Promise<StagedBody> => {
    for await (const piece of body) staged.push(...piece);
    return { bytes: staged.length } as StagedBody;
  };
  const context = { ...testContext(), longBodies: () => ({ thresholdBytes, store: { stage } }) } as SourceContext;
  return { context, polled: new PolledFiles(context), staged };
}

async function* cut(bytes: readonly number[], pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield Uint8Array.from(bytes.slice(at, at + pieceBytes));
}

test("a body is read whole, into memory or the body store, if it has the bytes of its listing; a longer one is not read on", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(255), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      async (bytes, pieceBytes, size, isLarge) => {
        const { context, polled, staged } = files(isLarge ? 0 : 100);
        const read = polled.read(size, 16, async () => cut(bytes, pieceBytes));
        if (size === bytes.length) {
          const whole = await read;
          deepEqual([isLarge ? staged : [...(whole?.body ?? [])], whole?.storedBody?.bytes], [bytes, isLarge ? size : undefined]);
        } else await rejects(read, WrongSize);
        equal(staged.length <= size, true);
        equal(context.memory.uploads.takenBytes, 0);
      },
    ),
  );
});

test("a file that drips is given up; one that is slow but makes progress is not", async () => {
  const clock = new ManualClock();
  async function* every(ms: number, pieceBytes: number): AsyncGenerator<Uint8Array> {
    for (let count = 0; count < 1_000; count += 1) {
      clock.advance(ms);
      yield new Uint8Array(pieceBytes);
    }
  }
  const countOf = async (pieces: AsyncIterable<Uint8Array>): Promise<number> => {
    let count = 0;
    for await (const _ of inTime(pieces, clock)) count += 1;
    return count;
  };
  equal(await countOf(every(polledLimits.progressMs, polledLimits.progressBytes)), 1_000);
  await rejects(countOf(every(1_000, 1_000)), /bytes came in/);
});

test("troubles are logged once, also when there are more than are remembered", () => {
  const clock = new ManualClock();
  let lines = 0;
  const logger = { error: () => void (lines += 1) } as unknown as SourceContext["logger"];
  const told = new ToldOnce({ logger, clock });
  const all = polledLimits.toldNames + 5;
  for (let poll = 0; poll < 3; poll += 1) for (let name = 0; name < all; name += 1) told.tell(`ignored ${name}`, "MF_TESTED", "");
  equal(lines, polledLimits.toldNames);
  told.forget("ignored 0");
  equal(told.tell("ignored 0", "MF_TESTED", ""), true);
  clock.advance(polledLimits.toldMs);
  equal(told.tell(`ignored ${all}`, "MF_TESTED", ""), true);
});
