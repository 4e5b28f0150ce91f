import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LongFrames } from "./long-frames.ts";

/** Frames of a letter, a length of one byte and content; those of more than 9 bytes pass if their letter is "p". */
function framing(next: (piece: Buffer) => void): LongFrames {
  return new LongFrames(
    {
      headerBytes: 2,
      isFree: (bytes) => bytes <= 9,
      rest: (chunk, at) => chunk[at + 1] ?? 0,
      passes: (chunk, at) => String.fromCharCode(chunk[at] ?? 0) === "p",
    },
    next,
  );
}

test("frames that are too long are left out, wherever the stream is cut into pieces; the others keep every byte", () => {
  const frame = fc.tuple(fc.constantFrom("p", "d"), fc.uint8Array({ maxLength: 40 }));
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 30 }), cuts, (frames, lengths) => {
      const bytesOf = ([letter, content]: (typeof frames)[number]): Buffer =>
        Buffer.concat([Buffer.from(letter), Buffer.from([content.length]), content]);
      const stream = Buffer.concat(frames.map(bytesOf));
      const passed: Buffer[] = [];
      const taker = framing((piece) => passed.push(Buffer.from(piece)));
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const length = lengths[turn % lengths.length] ?? 1;
        taker.take(stream.subarray(at, at + length));
        at += length;
      }
      const expected = frames.filter(([letter, content]) => letter === "p" || content.length <= 9).map(bytesOf);
      deepEqual(Buffer.concat(passed), Buffer.concat(expected));
    }),
  );
});

test("all before a long frame has been passed on when it is asked about; of one that is refused nothing is", () => {
  const passed: string[] = [];
  const taker = new LongFrames(
    {
      headerBytes: 1,
      isFree: (bytes) => bytes < 3,
      rest: (chunk, at) => chunk[at] ?? 0,
      passes: () => {
        equal(passed.join(""), "\u0001a\u0001b");
        throw new Error("too long");
      },
    },
    (piece) => passed.push(piece.toString()),
  );
  throws(() => taker.take(Buffer.from("\u0001a\u0001b\u0005cdefg")), /too long/);
  equal(passed.join(""), "\u0001a\u0001b");
});
