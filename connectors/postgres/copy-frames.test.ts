import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CopyFrames } from "./copy-frames.ts";

function message(type: string, content: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

test("CopyData is taken out, of a long one the beginning, wherever the stream is cut; all else passes", () => {
  const each = fc.tuple(fc.constantFrom("d", "d", "Z", "C"), fc.uint8Array({ maxLength: 40 }));
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(fc.array(each, { minLength: 1, maxLength: 30 }), cuts, (messages, lengths) => {
      const stream = Buffer.concat(messages.map(([type, content]) => message(type, content)));
      const [copies, rest]: [[Buffer, number][], Buffer[]] = [[], []];
      const frames = new CopyFrames({ mostBytes: 20, headBytes: 7 }, (content, bytes) => void copies.push([Buffer.from(content), bytes]));
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const length = lengths[turn % lengths.length] ?? 1;
        frames.take(stream.subarray(at, at + length), (piece) => rest.push(Buffer.from(piece)));
        at += length;
      }
      const data = messages.filter(([type]) => type === "d").map(([, content]) => Buffer.from(content));
      deepEqual(copies, data.map((content) => [content.length > 20 ? content.subarray(0, 7) : content, content.length])); // biome-ignore format: one check
      const others = messages.filter(([type]) => type !== "d").map(([type, content]) => message(type, content));
      deepEqual(Buffer.concat(rest), Buffer.concat(others));
    }),
  );
});
