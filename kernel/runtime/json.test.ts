/** kernel/native/json.ts beside the engine's own parser, on the same bytes in the same machine: no difference that a flow could see. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { before, describe, test } from "node:test";
import { concatBytes, prng, toUtf8 } from "#base";
import fc from "fast-check";
import { objectShape } from "../native/objects.ts";
import { type Box, NativeMachine } from "./testing/native-machine.ts";

/** Scripts of the machine: `tell` shows all there is to see of a value, `abuse` does to it what flows do. */
const scripts = `
  const double = new Float64Array(1), word = new BigUint64Array(double.buffer);
  const prototypes = new Map([[Object.prototype, "Object"], [Array.prototype, "Array"], [SyntaxError.prototype, "SyntaxError"]]);
  function tell(value) {
    if (typeof value === "number") return (double[0] = value, "number " + word[0].toString(16));
    if (typeof value !== "object" || value === null) return typeof value + " " + JSON.stringify(value);
    const kind = (prototypes.get(Object.getPrototypeOf(value)) ?? "?") + (Array.isArray(value) ? "[]" : "") + (Object.isExtensible(value) ? "" : "!");
    const shown = Reflect.ownKeys(value).map((key) => {
      const { value: held, get, writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(value, key);
      return JSON.stringify(key) + [writable, enumerable, configurable].map(Number).join("") + (get ? "get" : tell(held));
    });
    const seen = [];
    for (const key in value) seen.push(key);
    return kind + "{" + shown.join() + "|" + seen.join() + "|" + JSON.stringify(value) + "}";
  }
  const tellError = (error) => error.constructor.name + ": " + error.name + ": " + error.message;
  let turns = 0;
  function abuse(value) {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) abuse(value[key]);
    const [first, second] = Object.keys(value);
    const turn = turns++ % 7;
    value.added = turn;
    if (turn % 2 === 0) value["more" + turn] = { own: value.added };
    if (first !== undefined && turn !== 1) delete value[first];
    if (first !== undefined && turn === 3) value[first] = "again";
    if (second !== undefined && turn === 4) Object.defineProperty(value, second, { get: () => 1, enumerable: false });
    if (second !== undefined && turn === 5) Object.defineProperty(value, second, { writable: false });
    if (turn === 2) Object.freeze(value);
    if (turn === 6) Object.setPrototypeOf(value, null);
    if (Array.isArray(value) && turn !== 2) value.push(turn, [turn]);
  }
  function abused(value) { turns = 0; abuse(value); }
`;

let machine: NativeMachine;
let tell: Box;
let tellError: Box;
let abused: Box;

/** Texts whose values a machine keeps, in all; functions.ts. */
const keptBytes = 16 * 1024;

function start(): void {
  machine = new NativeMachine();
  machine.json(toUtf8("1".padEnd(keptBytes))); // it keeps no value after this one, which is no object
  machine.run(scripts);
  [tell, tellError, abused] = ["tell", "tellError", "abused"].map((name) => machine.run(name)) as [Box, Box, Box];
}

/** All there is to see of a value or of the exception that stands instead of it; frees it. */
function shown(value: Box, ...first: Box[]): string {
  const failed = machine.isException(value);
  const seen = failed ? machine.call("qjs_get_exception") : value;
  if (!failed) for (const callee of first) machine.free(machine.apply(callee, seen));
  const told = machine.apply(failed ? tellError : tell, seen);
  ok(!machine.isException(told), "the machine can tell");
  const text = machine.string(told);
  machine.free(told, seen);
  return text;
}

/** The offset of the first sequence that is not UTF-8. */
function malformedAt(bytes: Uint8Array): number {
  let end = 1;
  while (
    end <= bytes.length &&
    new TextDecoder("utf-8", { fatal: false }).decode(bytes.subarray(0, end), { stream: true }).indexOf("\ufffd") < 0
  )
    end++;
  let start = end - 1;
  while (start > 0 && (bytes[start]! & 0xc0) === 0x80) start--;
  return start;
}

function expectSame(text: string | Uint8Array, ...first: Box[]): string {
  const bytes = typeof text === "string" ? toUtf8(text) : text;
  const engine = shown(machine.engineJson(bytes), ...first);
  // The engine takes surrogates that are encoded for themselves; here no bytes but UTF-8 are JSON (RFC 8259 §8.1).
  const place = engine.startsWith("SyntaxError") || isUtf8(bytes) ? -1 : malformedAt(bytes);
  const expected = place < 0 ? engine : `TypeError: TypeError: malformed UTF-8 at byte ${place}`;
  equal(shown(machine.json(bytes), ...first), expected, JSON.stringify(Buffer.from(bytes).toString("latin1")).slice(0, 2000));
  return expected;
}

const records = (count: number): string =>
  JSON.stringify(Array.from({ length: count }, (_, i) => ({ id: i, name: `n${i}`, at: [i / 8, -i] })));
const nested = (depth: number, inner: string): string => `${'{"a":['.repeat(depth)}${inner}${"]}".repeat(depth)}`;

const plain = [
  "0",
  "-0",
  "-0.0",
  "1",
  "9.5",
  "1234",
  "-0.25",
  "true",
  "false",
  "null",
  '""',
  '"a"',
  "[]",
  "{}",
  "[[]]",
  "[{}]",
  '{"a":{}}',
];
const numbers = [
  ..."2147483647 2147483648 -2147483648 -2147483649 4294967296 9007199254740991 9007199254740992 9007199254740993 -9007199254740993".split(
    " ",
  ),
  ..."18446744073709551615 18446744073709551616 99999999999999999999 123456789012345678901234567890 0.1 0.3 1.10 5e-324 2.5e-324 1e308".split(
    " ",
  ),
  ..."1e400 -1e400 1e-400 1e22 1e23 1E22 1e+22 1e-22 1e-23 0e0 0e999 -0e-999 1.5e3 1.5E-3 123456789012345e22 9007199254740993e1".split(" "),
  ..."1e99999999999999999999 1e-99999999999999999999 0.1e1 0.30000000000000004 1.7976931348623157e308 2.2250738585072011e-308".split(" "),
  "0.000000000000000000000001",
  "0.0000000000000000000000123",
  "1.00000000000000000000000000000",
  `0.${"0".repeat(400)}1`,
  `1${"0".repeat(400)}`,
];
const badNumbers = "01 -01 00 1. .5 - -- -a +1 1e 1e+ 1e- 1.e1 1..2 1.2.3 0x10 1_000 Infinity NaN -Infinity 1a 1e1.5 ١".split(" ");
const texts = [
  '"\\n\\t\\r\\b\\f\\"\\\\\\/"',
  '"\\u0041\\u00e9\\u20ac\\ud83d\\ude00"',
  '"\\ud83d"',
  '"\\ude00\\ud83d"',
  '"a\\ud800b"',
  '"\\u0000"',
  '"é"',
  '"ÿ"',
  '"€ 12,50"',
  '"😀 and 8 more bytes"',
  '"exactly8"',
  '"exactly16 bytes!"',
  '"123456é"',
  '"1234567é"',
  '"\u007f"',
  '"\u2028\u2029"',
  `"${"long ".repeat(5000)}"`,
  `"${"é".repeat(5000)}"`,
];
const badTexts = [
  '"',
  '"a',
  '"abcdefgh',
  '"\\',
  '"\\"',
  '"\\u',
  '"\\u00',
  '"\\u00g0"',
  '"\\x41"',
  '"\\\'"',
  '"\n"',
  '"\t"',
  '"abcdefg\u0001"',
  '"\u001f"',
  '"12345678\u001f"',
  "'a'",
  '"\\u+123"',
  '"\\U0041"',
];
const keys = [
  '{"a":1,"a":2}',
  '{"a":1,"b":2,"a":3}',
  '[{"a":1,"a":2},{"a":1,"a":2},{"a":3,"a":4}]',
  '[{"a":1,"b":2,"a":3},{"a":1,"b":2,"a":3}]',
  '[{"a":1},{"a":1,"a":2},{"a":1,"a":2}]',
  '{"0":1,"1":2}',
  '{"b":1,"1":2,"a":3,"0":4}',
  '[{"1":1,"0":2},{"1":1,"0":2},{"0":1,"1":2}]',
  '{"01":1,"-1":2,"1.5":3,"4294967294":4,"4294967295":5,"4294967296":6,"2147483647":7,"2147483648":8,"1e3":9}',
  '[{"4294967295":5,"2147483648":8,"3":1},{"4294967295":5,"2147483648":8,"3":1}]',
  '{"__proto__":null}',
  '{"__proto__":{"x":1},"x":2}',
  '[{"__proto__":{"x":1}},{"__proto__":{"x":2}},{"__proto__":1}]',
  '{"constructor":1,"toString":2,"hasOwnProperty":3,"length":4,"then":5}',
  '{"":1}',
  '[{"":1},{"":2}]',
  '{"a\\u0062":1,"ab":2}',
  '[{"a\\u0062":1},{"a\\u0062":2},{"ab":3}]',
  '{"é":1,"\\u00e9":2,"Ã©":3,"ÿ":4,"€":5,"😀":6}',
  '{"Ã©":1,"é":2}',
  '[{"straße":1},{"straße":2}]',
  '{"\\ud800":1,"\\u0000":2}',
  '{"\\u0030":1}',
  '[{"a":1,"b":{"c":[{"d":1,"e":2},{"d":3,"e":4}]}},{"a":1,"b":{"c":[{"d":1,"e":2},{"d":3,"e":4},{"d":5}]}}]',
  '[{"a":1},{"a":1 },{"a": 1},{ "a":1},{"a" :1},{"a":1}]',
  '[{"a":1,"b":2},{"a":1},{"a":1,"b":2},{"b":2,"a":1},{"a":1,"b":2,"c":3},{"a":1,"b":2}]',
  '[{"a":1},{},{"a":1}]',
  '[{"a":{"a":{"a":1}}},{"a":{"a":{"a":2}}},{"a":{"a":2}},{"a":{"a":{"b":2}}}]',
  '[{"ab":1},{"ac":1},{"a":1},{"abc":1}]',
  '[{"a":"x\\ny"},{"a":1e400},{"a":[1]},{"a":"é"}]',
  `[${Array.from({ length: 40 }, (_, i) => `{${Array.from({ length: 20 + (i >> 3) }, (__, k) => `"k${k}":${i}`).join()}}`).join()}]`,
  // One of the objects within would have the record of the object around it, and its keys come where the second one of that differs.
  `[${["k1", "x", "k1", "x"].map((name) => `{"k0":0,"${name}":1,${Array.from({ length: 20 }, (_, k) => `"k${k + 2}":{"k0":0,"x":1}`).join()}}`).join()}]`,
  // Objects in every place of an object: some share its record.
  `[${Array.from({ length: 4 }, (_, i) => `{${Array.from({ length: 22 }, (__, k) => `"k${k}":{"k0":${i},"x":[{"k1":1,"k${k}":${k}}]}`).join()}}`).join()}]`,
  `{${Array.from({ length: 3000 }, (_, i) => `"k${i}":${i}`).join()}}`,
];
const badShapes = [
  ..."[ ] { } [1 [1, [1,] [,1] [1,,2] [1 2] {a:1} {1:2} , : [} {] [1}".split(" "),
  '{"a"}',
  '{"a":}',
  '{"a":1',
  '{"a":1,',
  '{"a":1,}',
  '{,"a":1}',
  '{"a":1 "b":2}',
  '{"a",1}',
  '{"a"::1}',
  '[{"a":1},{"a":1,}]',
  '[{"a":1},{"a":}]',
  '[{"a":1},{"a":1',
  '[{"a":1},{"a":',
  '[{"a":1},{"a"',
  '[{"a":1},{"a":1]',
  '[{"a":1,"b":2},{"a":1,"b":nul}]',
  "truex",
  "tru",
  "True",
  "nul",
  "nulll",
  "fals",
  "falsey",
  "undefined",
  "1 2",
  "{} {}",
  '"a" "b"',
  "[1] x",
  "/* c */ 1",
  "1 // c",
  "\u000b1",
  "\u000c1",
  "\u00a01",
  "\ufeff\ufeff1",
  "[1\u00002]",
  "\u0000",
  "1\u0000",
  '"a\u0000b"',
  "é",
  "😀",
];

describe("native.json and the engine's parser", () => {
  before(start);

  test("hand-written texts, alone, with white space, inside containers, and repeated", () => {
    for (const text of [...plain, ...numbers, ...badNumbers, ...texts, ...badTexts, ...keys, ...badShapes]) {
      expectSame(text);
      expectSame(` \t\r\n${text}\n \r\n\t`);
      expectSame(`[${text},${text}]`);
      expectSame(`{"a":${text},"b":[ ${text} , ${text}],"a":${text}}`);
      expectSame(`[{"k":${text},"l":1},{"k":${text},"l":${text}},{"k":1,"l":${text}}]`);
    }
  });

  test("bytes that are no UTF-8", () => {
    const sequences = [
      [0x80],
      [0xbf],
      [0xc0, 0x80],
      [0xc1, 0xbf],
      [0xc2],
      [0xc2, 0x20],
      [0xc3, 0xa9],
      [0xe0, 0x80, 0x80],
      [0xe0, 0x9f, 0xbf],
      [0xe0, 0xa0, 0x80],
      [0xe2, 0x82],
      [0xe2, 0x82, 0xac],
      [0xed, 0x9f, 0xbf],
      [0xed, 0xa0, 0x80],
      [0xed, 0xbf, 0xbf],
      [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
      [0xef, 0xbf, 0xbf],
      [0xf0, 0x80, 0x80, 0x80],
      [0xf0, 0x8f, 0xbf, 0xbf],
      [0xf0, 0x90, 0x80, 0x80],
      [0xf0, 0x9f, 0x98],
      [0xf4, 0x8f, 0xbf, 0xbf],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0xf8, 0x88, 0x80, 0x80, 0x80],
      [0xff],
      [0xfe, 0xff],
    ];
    const around = ['"@"', '["x@y",1]', '{"@":1}', '{"a@":"@"}', "@", "[@]", '"@', '["12345678@12345678"]', '[{"@":1},{"@":2}]'];
    for (const sequence of sequences) {
      for (const pattern of around) {
        const parts = pattern.split("@").flatMap((part, i) => (i === 0 ? [toUtf8(part)] : [Uint8Array.from(sequence), toUtf8(part)]));
        expectSame(concatBytes(parts));
      }
    }
  });

  test("every prefix of a text, and what follows in the event is neither read nor written", () => {
    const text = toUtf8(' {"a":[1,-2.5e1,"x\\u0041é",true,false,null,{"b":""}],"c":[{"d":1,"e":"f"},{"d":2,"e":"g"}]} ');
    for (let length = 1; length <= text.length; length++) {
      const prefix = text.subarray(0, length);
      expectSame(prefix);
      equal(shown(machine.json(prefix, text.subarray(length))), shown(machine.engineJson(prefix)));
    }
    for (const [first, behind] of [
      ["12", "34"],
      ["1", ".5"],
      ["1", "e5"],
      ['"a"', '"b"'],
      ["tru", "e"],
      ["[1", "]"],
    ] as const)
      equal(shown(machine.json(toUtf8(first), toUtf8(behind))), shown(machine.engineJson(toUtf8(first))), first + behind);
  });

  test("a byte order mark is dropped, once; nothing at all is undefined", () => {
    equal(shown(machine.json(toUtf8('\ufeff{"a":1}'))), shown(machine.engineJson(toUtf8('{"a":1}'))));
    equal(shown(machine.json(toUtf8("\ufeff"))), "undefined undefined");
    equal(shown(machine.json(toUtf8(""))), "undefined undefined");
    equal(shown(machine.json(toUtf8("\ufeff\ufeff1"))), shown(machine.engineJson(toUtf8("\ufeff1"))));
  });

  test("deep nesting, on both sides of what is read here", () => {
    for (const depth of [1, 2, 31, 32, 33, 34, 60, 200]) {
      expectSame(nested(depth, '{"x":1},{"x":2},{"x":3}'));
      expectSame(nested(depth, "1 2"));
      expectSame("[".repeat(2 * depth) + "]".repeat(2 * depth));
    }
    expectSame("[".repeat(1000));
    expectSame('{"a":'.repeat(1000));
    const deep = machine.json(toUtf8("[".repeat(1000) + "]".repeat(1000)));
    ok(!machine.isException(deep));
    machine.free(deep);
  });

  test("arrays longer than the stack of values, at any depth", () => {
    for (const count of [127, 128, 129, 255, 256, 257, 1000, 20_000]) {
      expectSame(JSON.stringify(Array.from({ length: count }, (_, i) => i * 0.5)));
      expectSame(`{"a":[${records(count)},1],"b":${records(3)}}`);
    }
    expectSame(`[${records(500)},${records(500)}`);
  });
});

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.string(),
  fc.constantFrom("a", "b", "0", "1", "__proto__", "é", "id", "name"),
);
const space = fc.constantFrom("", "", "", " ", "\n", "\r\n\t  ");
const anyNumber = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.integer({ min: -99_999, max: 99_999 }).map((n) => n / 100),
);
/** A number as JSON may write it, not only as JSON.stringify does. */
const numberText = fc.oneof(
  anyNumber.map((n) => JSON.stringify(n)),
  fc
    .tuple(
      fc.boolean(),
      fc.bigInt({ min: 0n, max: 10n ** 24n }),
      fc.option(fc.stringMatching(/^[0-9]{1,25}$/)),
      fc.option(fc.integer({ min: -340, max: 340 })),
    )
    .map(
      ([minus, whole, fraction, power]) =>
        `${minus ? "-" : ""}${whole}${fraction === null ? "" : `.${fraction}`}${power === null ? "" : `e${power}`}`,
    ),
);
const scalarText = fc.oneof(
  numberText,
  fc.constantFrom("true", "false", "null"),
  anyText.map((text) => JSON.stringify(text)),
);

/** Arrays of objects that have mostly the same keys, in mostly the same order and format; some hold such arrays again. */
const recordsText = (inner: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(anyText, { minLength: 1, maxLength: 6 }),
      fc.array(fc.tuple(fc.array(inner, { minLength: 6, maxLength: 6 }), fc.nat(9), fc.nat(5), space), { maxLength: 8 }),
      fc.array(space, { minLength: 4, maxLength: 4 }),
    )
    .map(([names, rows, [before, after, around, outer]]) => {
      const objects = rows.map(([values, oddity, which, odd]) => {
        let row = [...names];
        if (oddity === 0) row.splice(which, 1);
        if (oddity === 1) row.splice(which, 0, "odd");
        if (oddity === 2) row.reverse();
        if (oddity === 3) row = [];
        if (oddity === 4) row.push(row[0] as string);
        const gap = oddity === 5 ? odd : around;
        return `{${row.map((name, i) => `${gap}${JSON.stringify(name)}${before}:${after}${values[i] ?? "0"}`).join(`${outer},`)}${gap}}`;
      });
      return `[${objects.join(`,${outer}`)}]`;
    });
const leafRecords = recordsText(scalarText);
const anyRecords = recordsText(fc.oneof({ weight: 3, arbitrary: scalarText }, { weight: 1, arbitrary: leafRecords }));
const anyJson = fc.oneof(
  anyRecords,
  scalarText,
  fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value)),
  fc.tuple(space, fc.jsonValue({ maxDepth: 3 }), space).map(([left, value, right]) => left + JSON.stringify(value, null, 1) + right),
);
const mutation = fc.tuple(
  fc.constantFrom("put", "insert", "cut", "swap"),
  fc.nat(),
  fc.oneof(fc.nat(255), fc.constantFrom(...toUtf8('{}[]",:\\ 0e-.').values())),
);

function mutate(bytes: Uint8Array, edits: readonly (readonly [string, number, number])[]): Uint8Array {
  let out = [...bytes];
  for (const [kind, place, byte] of edits) {
    const at = place % (out.length + 1);
    if (kind === "put") out[at] = byte;
    else if (kind === "insert") out.splice(at, 0, byte);
    else if (kind === "cut") out.splice(at, 1 + (byte & 3));
    else out = [...out.slice(at), ...out.slice(0, at)];
  }
  return Uint8Array.from(out);
}

describe("native.json and the engine's parser, on random texts", () => {
  before(start);

  test("JSON of any kind", () => {
    fc.assert(
      fc.property(anyJson, (text) => void expectSame(text)),
      { numRuns: 1500 },
    );
  });

  test("JSON that was damaged", () => {
    const damaged = fc.tuple(anyJson, fc.array(mutation, { minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(damaged, ([text, edits]) => {
        const bytes = mutate(toUtf8(text), edits);
        if (bytes.length > 0 && !(bytes[0] === 0xef && bytes[1] === 0xbb)) expectSame(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  test("every number is the double nearest to what was written", () => {
    fc.assert(
      fc.property(fc.array(numberText, { maxLength: 20 }), (all) => void expectSame(`[${all.join()}]`)),
      { numRuns: 1000 },
    );
  });

  test("values can be changed, sealed and collected like the engine's own", () => {
    fc.assert(
      fc.property(anyRecords, (text) => {
        expectSame(text, abused);
        machine.call("qjs_run_gc");
        expectSame(text);
      }),
      { numRuns: 500 },
    );
  });
});

const sound = [
  records(40),
  `{"a":${records(300)},"b":[[[{"x":{"y":[{"z":1},{"z":2}]}},{"x":{"y":[{"z":1},{"z":2},{"q":"\\n"}]}}]]]}`,
  '[{"new key 1":1,"é":"\\u00e9","c":1e300},{"new key 1":2,"é":"b","c":2},{"c":1,"c":2}]',
];

describe("memory", () => {
  before(start);

  test("nothing is left of a value that was freed, nor of a text that is no JSON", () => {
    for (const text of [
      ...sound,
      ...sound.map((whole) => `${whole}]`),
      ...sound.map((whole) => whole.slice(0, -1)),
      nested(40, records(5)),
    ]) {
      const bytes = toUtf8(text);
      shown(machine.json(bytes)); // the second time, tables have grown and atoms of scripts are there
      machine.call("qjs_run_gc");
      const before = machine.usage();
      for (let i = 0; i < 5; i++) shown(machine.json(bytes));
      machine.call("qjs_run_gc");
      deepEqual(machine.usage(), before, text.slice(0, 100));
    }
  });

  test("keys that were never seen before are forgotten with their objects", () => {
    const unseen = (name: string): string =>
      `[{"${name}1":1,"${name}é":2,"${name}\\n":3},{"${name}1":1,"${name}é":2},{"${name}1":[{"${name}2":1]`;
    for (const text of [unseen("warm"), `${unseen("warm up")}}]}]`]) shown(machine.json(toUtf8(text)));
    const before = machine.usage();
    for (const text of [unseen("damaged"), `${unseen("sound")}}]}]`]) {
      shown(machine.json(toUtf8(text)));
      machine.call("qjs_run_gc");
      deepEqual(machine.usage(), before, text);
    }
  });

  test("the heap that long arrays need is given back", () => {
    const bytes = toUtf8(`[${"1,".repeat(20_000)}1]`);
    for (let i = 0; i < 3; i++) machine.free(machine.json(bytes));
    const before = machine.memory.byteLength;
    for (let i = 0; i < 60; i++) machine.free(machine.json(bytes));
    equal(machine.memory.byteLength, before);
  });

  test("as many objects and shapes come to be as with the engine's parser", () => {
    for (const text of sound) {
      const counted = (value: Box): unknown => {
        const { objects, shapes, atoms } = machine.usage();
        machine.free(value);
        return { objects, shapes, atoms };
      };
      const bytes = toUtf8(text);
      counted(machine.engineJson(bytes));
      deepEqual(counted(machine.json(bytes)), counted(machine.engineJson(bytes)));
    }
  });

  test("when memory runs out at any moment, the exception stands and nothing is left", () => {
    for (const text of sound) {
      const bytes = toUtf8(text);
      shown(machine.json(bytes));
      let refused = 0;
      for (let more = 0; ; more += more < 4000 ? 16 : 1000) {
        const before = machine.usage();
        machine.limit(before.bytes + more);
        const value = machine.json(bytes);
        machine.limit(0);
        const failed = machine.isException(value);
        if (failed) machine.free(machine.call("qjs_get_exception"));
        else equal(shown(value), shown(machine.engineJson(bytes)));
        machine.call("qjs_run_gc");
        deepEqual(machine.usage(), before, `${more} bytes`);
        if (!failed) break;
        refused++;
      }
      ok(refused > 10, "memory ran out in many places");
    }
  });

  test("garbage is collected while records are made by hand", () => {
    machine.call("qjs_run_gc");
    machine.run("for (let i = 0; i < 3000; i++) { const a = {}; a.a = a; }");
    const { bytes } = machine.usage();
    const text = toUtf8(`[${'{"a":1},'.repeat(1500)}{"a":1}]`);
    machine.call("qjs_set_gc_threshold", bytes + 20_000); // not yet due when the first record is made
    machine.limit(bytes + 60_000); // too little for all of them beside the garbage
    const value = machine.json(text);
    machine.limit(0);
    ok(!machine.isException(value));
    ok(machine.usage().bytes < bytes, "the collector ran");
    machine.free(value);
  });

  test("the first values of a machine are kept, those of 16 KiB of text and no more", () => {
    const fresh = new NativeMachine();
    const kept = (text: string): number => {
      const before = fresh.usage().objects;
      fresh.free(fresh.json(toUtf8(text)), fresh.call("qjs_get_exception"));
      return fresh.usage().objects - before;
    };
    equal(kept('{"a":{}}'), 2);
    equal(kept('{"a":{}'), 0);
    equal(kept(`{"a":${"[]".padEnd(keptBytes)}}`), 0);
    equal(kept("[[[]]]".padEnd(keptBytes - 8)), 3);
    equal(kept("{}"), 0);
  });

  test("records of an array share the shape of the first one", () => {
    const value = machine.json(toUtf8(records(3)));
    const shapes = [0, 1, 2].map((i) => {
      const record = machine.apply(machine.run("(list, i) => list[i]"), value, machine.call("qjs_new_number", i));
      return machine.memory.getUint32(machine.address(record) + objectShape, true);
    });
    deepEqual(shapes, [shapes[0], shapes[0], shapes[0]]);
  });

  test("the collector finds cycles through objects made by hand", () => {
    machine.call("qjs_run_gc");
    const ring = machine.run("(list) => { for (const [i, one] of list.entries()) one.next = list[(i + 1) % list.length]; }");
    const rounds = (): void => {
      const value = machine.json(toUtf8(records(100)));
      machine.free(machine.apply(ring, value), value);
      machine.call("qjs_run_gc");
    };
    rounds();
    const before = machine.usage();
    rounds();
    deepEqual(machine.usage(), before);
  });
});

test("numbers drawn at random have the bits that Node reads", () => {
  start();
  const random = prng(20261128);
  const bits = new DataView(new ArrayBuffer(8));
  const read = machine.run(
    "(list) => { const all = new Float64Array(list); return Array.from(new BigUint64Array(all.buffer), String).join(); }",
  );
  for (let round = 0; round < 20; round++) {
    const written = Array.from({ length: 500 }, () => {
      const digits = Array.from({ length: 1 + random.below(18) }, () => random.below(10)).join("");
      const point = random.below(digits.length + 1);
      const whole = String(BigInt(digits.slice(0, point) || "0"));
      return `${whole}${point < digits.length ? `.${digits.slice(point)}` : ""}${random.below(3) === 0 ? `e${random.below(60) - 30}` : ""}`;
    });
    const got = machine.string(machine.apply(read, machine.json(toUtf8(`[${written.join()}]`)))).split(",");
    for (const [i, text] of written.entries()) {
      bits.setFloat64(0, Number(text));
      equal(got[i], String(bits.getBigUint64(0)), text);
    }
  }
});
