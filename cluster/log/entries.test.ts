/** Messages of a partition's stream: what is encoded is decoded, and nothing else is. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CodedError, toUtf8 } from "#base";
import { decodeEntry, encodeEntry, type Entry, type EntryKind } from "./entries.ts";
import { Extents } from "./extents.ts";
import { FileTable } from "./file-table.ts";

const prefix = "mayfly.prod.P007";
const kinds: readonly EntryKind[] = ["own", "create", "write", "truncate", "rename", "remove"];
const data = fc.uint8Array({ maxLength: 40 });
const entry: fc.Arbitrary<readonly [Entry, Uint8Array]> = fc
  .tuple(fc.constantFrom(...kinds), fc.stringMatching(/^[0-9a-z]{8,32}$/), fc.nat(), fc.integer({ min: 1, max: 2 ** 40 }), data, fc.nat())
  .map(([kind, writer, counter, life, bytes, at]) => {
    const own = kind === "own";
    const named = own || kind === "create" || kind === "rename";
    const index = own || kind === "create" || kind === "remove" ? 0 : 1 + (at % 1_000);
    const places = kind === "write" || kind === "truncate";
    const written = kind === "write" ? bytes : new Uint8Array(0);
    const made: Entry = {
      kind,
      writer,
      counter,
      life: own ? 0 : life,
      index,
      name: named ? "segment-0000000000000001.mfj" : "",
      at: places ? at : 0,
      bytes: written.length,
    };
    return [made, written] as const;
  });

test("an entry is decoded as it was encoded, with its data and without", () => {
  fc.assert(
    fc.property(entry, ([made, bytes]) => {
      const message = encodeEntry(prefix, made, bytes);
      deepEqual(decodeEntry(prefix, message, true), made);
      deepEqual(decodeEntry(prefix, { ...message, data: new Uint8Array(0) }, false), made);
    }),
  );
});

test("one changed character of header or subject, or bit of the data, and it is refused", () => {
  fc.assert(
    fc.property(entry, fc.nat(), fc.stringMatching(/^[ -~]$/), fc.nat(), ([made, bytes], place, character, bit) => {
      const message = encodeEntry(prefix, made, bytes);
      const change = (text: string): string => {
        const at = place % text.length;
        return text.slice(0, at) + character + text.slice(at + 1);
      };
      const header = change(message.header);
      if (header !== message.header) equal(decodeEntry(prefix, { ...message, header }, false), undefined);
      const subject = change(message.subject);
      if (subject !== message.subject) equal(decodeEntry(prefix, { ...message, subject }, false), undefined);
      if (bytes.length === 0) return;
      const damaged = Uint8Array.from(bytes);
      const at = bit % (8 * bytes.length);
      damaged[at >> 3] = (damaged[at >> 3] ?? 0) ^ (1 << (at & 7));
      equal(decodeEntry(prefix, { ...message, data: damaged }, true), undefined);
    }),
    { numRuns: 1_000 },
  );
});

test("any text as header and subject is refused without an error", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), data, (header, subject, bytes) => {
      equal(decodeEntry(prefix, { header, subject, data: bytes }, true), undefined);
    }),
  );
});

test("entries in any order build a table or are damage of their stream, never another error", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), fc.array(fc.nat(5)), (entries, lives) => {
      const table = new FileTable("S");
      try {
        for (const [at, [made]] of entries.entries()) {
          const life = made.kind === "create" ? at + 1 : (lives[at] ?? made.life);
          table.apply({ ...made, life, counter: at, writer: "wwwwwwww" }, at + 1);
        }
        table.checkWhole();
      } catch (error) {
        equal((error as CodedError).code, "MF_JOURNAL_CORRUPT");
      }
      ok(table.names().length <= 1);
    }),
  );
});

test("pieces are those of a file that is written byte by byte", () => {
  const writes = fc.array(fc.record({ at: fc.nat(60), bytes: fc.nat(30), cut: fc.option(fc.nat(80), { nil: undefined, freq: 4 }) }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(writes, fc.nat(60), fc.nat(60), (all, from, length) => {
      const extents = new Extents();
      const file: (string | undefined)[] = [];
      for (const [sequence, { at, bytes, cut }] of all.entries()) {
        if (cut !== undefined) {
          extents.truncate(cut);
          file.length = Math.min(file.length, cut);
        }
        extents.write(at, bytes, sequence);
        for (let byte = 0; byte < bytes; byte++) file[at + byte] = `${sequence}/${byte}`;
      }
      const found: (string | undefined)[] = Array.from({ length: 200 }, () => undefined);
      for (const piece of extents.within(from, from + length))
        for (let byte = 0; byte < piece.length; byte++) found[piece.offset + byte] = `${piece.sequence}/${piece.from + byte}`;
      for (let at = from; at < from + length; at++) equal(found[at], file[at], `byte ${at}`);
    }),
  );
});

test("a header that nobody can have written is refused: other versions, kinds and numbers", () => {
  const made = { kind: "write", writer: "wwwwwwww", counter: 1, life: 5, index: 1, name: "", at: 0, bytes: 1 } as const;
  const message = encodeEntry(prefix, made, toUtf8("x"));
  for (const [from, to] of [
    ["1 write", "2 write"],
    [" 0 1 ", " 00 1 "],
    [" write ", " erase "],
    [" 1 1 0 ", " 1 1 99999999999999999 "],
  ] as const)
    equal(decodeEntry(prefix, { ...message, header: message.header.replace(from, to) }, true), undefined);
});
