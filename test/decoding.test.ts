/**
 * Bytes as text, in a real machine: a byte order mark counts, then the content type, then what the document declares, in every format; and
 * bytes that are malformed are refused with the first one's offset, or replaced for those who ask.
 */
import { deepEqual, equal } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { defaultFlowLimits } from "#abi";
import { fromUtf8 } from "#base";
import { embeddedMonitor, type LoadedImage, type Monitor } from "#monitors";
import { imageOf } from "./fuzz/flow-image.ts";

const flow = `
const readers: Record<string, (msg: any) => unknown> = {
  text: (msg) => msg.text(), json: (msg) => msg.json(), csv: (msg) => msg.csv(), xml: (msg) => msg.xml(),
  replaced: (msg) => msg.text({ malformed: "replace" }), "csv replaced": (msg) => msg.csv({ malformed: "replace" }),
  "xml replaced": (msg) => msg.xml({ malformed: "replace" }),
};
export default flow(async (msg, { sleep }) => {
  if (msg.headers["x-late"]) await sleep(1);
  try { return { value: readers[msg.headers["x-reader"]!]!(msg) }; } catch (error: any) { return { code: error.code, message: error.message }; }
});`;

let monitor: Monitor;
let image: LoadedImage;
before(async () => {
  monitor = embeddedMonitor({ workers: 1 });
  image = await monitor.load(await imageOf(flow));
});
after(() => monitor.close());

async function read(reader: string, body: Uint8Array, contentType = "", late = false): Promise<Record<string, unknown>> {
  const headers = {
    "x-reader": reader,
    ...(contentType === "" ? {} : { "content-type": contentType }),
    ...(late ? { "x-late": "1" } : {}),
  };
  const machine = monitor.start(
    image,
    {
      kind: "deliver",
      timeMs: 1,
      seed: new Uint8Array(32),
      id: "m",
      source: "test",
      attempt: 1,
      key: undefined,
      headersJson: JSON.stringify(headers),
      stateJson: undefined,
      body,
    },
    defaultFlowLimits,
  );
  let outcome = await machine.first;
  if (late) outcome = await machine.step({ kind: "wake", timeMs: 2, timer: 1 });
  const last = outcome.effects.at(-1);
  if (last?.kind !== "done") throw new Error(JSON.stringify(outcome));
  return JSON.parse(fromUtf8(last.reply?.body ?? new Uint8Array(0))) as Record<string, unknown>;
}

type Encoder = (text: string) => number[];
const utf8: Encoder = (text) => [...Buffer.from(text, "utf8")];
const latin1: Encoder = (text) => [...Buffer.from(text, "latin1")];
const wide: Encoder = (text) => [...Buffer.from(text, "utf16le")];
const wideBig: Encoder = (text) => [...Buffer.from(text, "utf16le").swap16()];

const texts: Readonly<Record<string, readonly [text: string, value: unknown]>> = {
  text: ["Müller 日 😀", "Müller 日 😀"],
  json: ['{"a":"Müller","😀":["日"]}', { a: "Müller", "😀": ["日"] }],
  csv: ["Name,Ort\r\nMüller,日😀", [{ Name: "Müller", Ort: "日😀" }]],
  xml: ["<a><b>Müller 日😀</b></a>", { a: { b: "Müller 日😀" } }],
};
const narrow = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replace(/[日😀]/gu, "x")) as unknown;
const marks = { utf8: [0xef, 0xbb, 0xbf], wide: [0xff, 0xfe], wideBig: [0xfe, 0xff] } as const;
const encoders = { utf8, wide, wideBig } as const;

for (const [reader, [source, value]] of Object.entries(texts)) {
  describe(`${reader}`, () => {
    for (const late of [false, true]) {
      const when = late ? ", after a wait" : "";
      const is = async (expected: unknown, bytes: readonly number[], contentType = ""): Promise<void> =>
        deepEqual(await read(reader, Uint8Array.from(bytes), contentType, late), { value: expected }, contentType);

      test(`a byte order mark counts more than any charset${when}`, async () => {
        for (const name of ["utf8", "wide", "wideBig"] as const)
          for (const charset of [
            "",
            "text/x; charset=utf-8",
            "text/x;charset=iso-8859-1",
            'text/x; Charset="UTF-16"',
            "text/x; charset=utf-16be",
          ])
            await is(value, [...marks[name], ...encoders[name](source)], charset);
      });

      test(`the content type's charset counts${when}`, async () => {
        await is(value, utf8(source));
        await is(value, utf8(source), "application/x");
        await is(value, wide(source), "text/x; charset=utf-16le");
        await is(value, wideBig(source), "text/x; charset=UTF-16BE");
        await is(narrow(value), latin1(source.replace(/[日😀]/gu, "x")), "text/x; charset=iso-8859-1");
      });

      test(`what is malformed is refused with its place, or replaced${when}`, async () => {
        const at = utf8(source).indexOf(0xc3);
        for (const bad of [[0xfc], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xa0], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0xff]]) {
          const broken = Uint8Array.from([...utf8(source).slice(0, at), ...bad, ...utf8(source).slice(at + 2)]);
          const { code, message } = await read(reader, broken, "", late);
          equal(code, "MF_MESSAGE_INVALID", String(bad));
          equal(/malformed UTF-8 at byte (\d+)/.exec(String(message))?.[1], String(at), String(message));
          if (reader === "json") continue;
          const replaced = await read(reader === "text" ? "replaced" : `${reader} replaced`, broken, "", late);
          equal(JSON.stringify(replaced).includes("\ufffd"), true);
        }
        const half = Uint8Array.from([...marks.wide, ...wide(source), 0x20]);
        const { code, message } = await read(reader, half, "", late);
        equal(code, "MF_MESSAGE_INVALID");
        equal(/malformed UTF-16 at byte (\d+)/.exec(String(message))?.[1], String(half.length - 1));
        const lone = Uint8Array.from([...wide(source.slice(0, 4)), 0x00, 0xd8, ...wide(source.slice(4))]);
        const found = await read(reader, lone, "text/x; charset=utf-16le", late);
        equal(/malformed UTF-16 at byte (\d+)/.exec(String(found["message"]))?.[1], "8", String(found["message"]));
      });
    }
  });
}

test("XML's own declaration counts where nothing else says, and a document in UTF-16 is known by its first character", async () => {
  const declared = (charset: string): string => `<?xml version="1.0" encoding="${charset}"?><a>Müller</a>`;
  const xml = (bytes: readonly number[], contentType = ""): Promise<unknown> => read("xml", Uint8Array.from(bytes), contentType);
  deepEqual(await xml(latin1(declared("iso-8859-1"))), { value: { a: "Müller" } });
  deepEqual(await xml(latin1(declared("utf-8")), "text/xml; charset=iso-8859-1"), { value: { a: "Müller" } });
  deepEqual(await xml([...marks.utf8, ...utf8(declared("iso-8859-1"))]), { value: { a: "Müller" } });
  deepEqual(await xml(wide(declared("utf-16"))), { value: { a: "Müller" } });
  deepEqual(await xml(wideBig(declared("utf-16"))), { value: { a: "Müller" } });
});

test("a malformed byte far behind, and one at the very end, are found", async () => {
  const long = Buffer.from(`["${"x".repeat(100_000)}"]`);
  for (const at of [1_000, 99_999, long.length - 1]) {
    const body = Uint8Array.from(long);
    body[at] = 0xff;
    for (const reader of ["json", "text", "csv"]) {
      const { message } = await read(reader, body);
      equal(/at byte (\d+)/.exec(String(message))?.[1], String(at), reader);
    }
  }
});

test("an unknown charset is refused", async () => {
  for (const charset of ["klingon", "constructor", "shift_jis"]) {
    for (const reader of ["text", "json", "csv", "xml"]) {
      const { code, message } = await read(reader, Uint8Array.from(utf8("1")), `text/x; charset=${charset}`);
      equal(code, "MF_MESSAGE_INVALID", String(message));
    }
  }
});
