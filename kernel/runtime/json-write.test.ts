/** kernel/native/json-write.ts beside the engine's JSON.stringify, on the same values in the same machine: no difference that a flow could see. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { toUtf8 } from "#base";
import fc from "fast-check";
import { type Box, NativeMachine } from "./testing/native-machine.ts";

/**
 * Scripts of the machine. `beside` makes a value twice and tells how each of the two wrote it: the text or the error with its stack, and
 * what code of the flow was called meanwhile, in `calls`. What `make` gives to `later` is done when both are through.
 */
const scripts = `
  const calls = [];
  const undone = [];
  const later = (undo) => void undone.push(undo);
  const note = (name, value) => (calls.push(name), value);
  const engineStringify = JSON.stringify;
  const writers = [{ stringify: engineStringify }, { stringify: native.stringify }];
  function tell(writer, make) {
    calls.length = 0;
    let told;
    try {
      const text = writer.stringify(make());
      told = [typeof text, text];
    } catch (error) {
      told = ["thrown", error?.constructor?.name, error?.message, error?.stack, typeof error === "object" ? undefined : String(error)];
    } finally {
      while (undone.length > 0) undone.pop()();
    }
    return engineStringify([told, calls]);
  }
  const beside = (make) => engineStringify(writers.map((writer) => tell(writer, make)));
`;

let machine: NativeMachine;
let beside: Box;
let stringify: Box;

function start(): void {
  machine = new NativeMachine();
  machine.run(scripts);
  [beside, stringify] = ["beside", "native.stringify"].map((name) => machine.run(name)) as [Box, Box];
}

/** Compares what the two make of the value of an expression; returns what that was. */
function expectSame(expression: string): string {
  const make = machine.run(`() => (${expression})`);
  const result = machine.apply(beside, make);
  ok(!machine.isException(result), expression);
  const [expected, got] = JSON.parse(machine.string(result)) as [string, string];
  machine.free(make, result);
  equal(got, expected, expression.slice(0, 2000));
  return expected;
}

/** Compares as well, and holds that the writer did not give up: the whole text lies behind what is in the outbox. */
function expectWritten(expression: string): void {
  const { door, engine } = machine.kernel;
  const [[, text]] = JSON.parse(expectSame(expression)) as [[string, string]];
  const expected = toUtf8(text);
  new Uint8Array(engine.memory.buffer).fill(0, door.effects() + door.effectsLength(), door.effects() + door.effectsLength() + 1024);
  const value = machine.run(`(${expression})`);
  machine.free(machine.apply(stringify, value), value);
  const written = machine.bytesAt(door.effects() + door.effectsLength(), expected.length);
  ok(Buffer.compare(written, expected) === 0, `given up: ${expression.slice(0, 2000)}`);
}

const nested = (depth: number, inner: string): string => `${"[{a:".repeat(depth)}${inner}${"}]".repeat(depth)}`;
const all = (from: number, to: number): string => `String.fromCharCode(...Array.from({ length: ${to - from} }, (_, i) => i + ${from}))`;

const numbers = [
  ..."0 -0 1 -1 9 10 99 100 12345678 99999999 100000000 123456789 -100000001 2147483647 -2147483648 2147483648 -2147483649 4294967296".split(
    " ",
  ),
  ..."9007199254740990 9007199254740991 -9007199254740991 9999999999999 1000000000000 0.1 0.5 9.5 522.5 -0.25 12.99 0.07 100.01 1.005".split(
    " ",
  ),
  ..."0.000001 0.0000012 -0.000001 48.2081743 11.5819806 99999999.9999999 0.9999999 1.0000001 123456.789 1e-0 NaN Infinity -Infinity".split(
    " ",
  ),
];
const otherNumbers = [
  ..."0.1+0.2 1/3 2**53 2**53+2 -(2**53) 1e16 1e20 123456789012345680000 1e21 1e22 -1e21 1.5e300 1e-7 9.999999e-7 1.5e-10 5e-324".split(
    " ",
  ),
  ..."2.2250738585072014e-308 1.7976931348623157e308 0.1234567890123 999999999999999.9 99999999999999.99 9007199254740991.5 4503599627370495.5".split(
    " ",
  ),
  ..."0.30000000000000004 1.0000000000000002 9.499999999999998 100000000.00000001 0.00000051 Math.PI".split(" "),
];
const texts = [
  ...`"" "a" "1234567" "12345678" "123456789" "1234567890123456" '"' "\\\\" "a\\"b" "1234567\\"" "12345678\\"" "\\n\\r\\t\\b\\f\\v\\0"`.split(
    " ",
  ),
  ...`"\\x7f" "\\u2028\\u2029" "é" "ÿ" "1234567é" "12345678é" "äöüÄÖÜß" "€" "12345678€" "\\u07ff\\u0800\\uffff\\ufffe" "😀" "a😀b" "\\ud7ff\\ue000"`.split(
    " ",
  ),
  ...`"\\ud83d" "\\ude00" "\\ude00\\ud83d" "a\\ud800b" "\\ud83d\\ud83d\\ude00" "\\udbff\\udfff" "\\ud800\\udc00" "\\udfff\\udbff\\"" "€\\"\\\\\\n\\x01"`.split(
    " ",
  ),
  all(0, 256),
  all(0, 0x300),
  all(0xd7f0, 0xe010),
  `"long text, ".repeat(3000)`,
  `"für €, ".repeat(3000)`,
  `"\\x01\\x02".repeat(5000)`,
  `("x".repeat(3000) + '"y').slice(1000)`,
  `("€".repeat(3000) + '"y').slice(1000)`,
  `("é".repeat(3000) + "ab").slice(2990)`,
  `("€".repeat(3000) + "😀").slice(500, 3001)`,
  `"x".repeat(9000) + '"' + "é".repeat(9000)`,
  `"x".repeat(9000) + "€".repeat(9000) + "\\ud800"`,
];
const plain = [
  ..."true;false;null;[];{};[[]];[{}];{a:{}};{a:1};{a:1,b:2,c:3};[1,2,3];[[1],[2,[3]]];[null,true,false];{a:undefined};[undefined]".split(
    ";",
  ),
  ..."{a:undefined,b:1};{a:1,b:undefined,c:2};{a:1,b:undefined};[undefined,1,undefined];{'':1};{' ':1,'a b':2};{'\"':1,'\\\\':2}".split(
    ";",
  ),
  ..."{é:1,'€':2,'😀':3,'\\ud800':4};{'01':1,'-1':2,'1.5':3,'1e3':4,'42949672960':5,'2024-01-01':6};{a:1,['b'+1]:2};{__proto__:null,a:1}".split(
    ";",
  ),
  "{ constructor: 1, toString: 2, length: 3, ['__proto__']: 4 }",
  "{ [Symbol('s')]: 1, a: 2, [Symbol.iterator]: () => note('iterated') }",
  "Object.defineProperty({ a: 1, c: 3 }, 'b', { value: 2, enumerable: false })",
  "Object.defineProperty({ a: 1 }, 'hidden', { get: () => note('read', 1) })",
  "(() => { const value = { a: 1, b: 2, c: 3 }; delete value.b; value.b = 4; delete value.a; return value; })()",
  "Object.freeze({ a: 1, b: Object.freeze({ c: 2 }) })",
  "Object.seal({ a: 1 })",
  "Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } })",
  "Object.create(null)",
  "new (class Point { x = 1; y = 2; length() { return note('called', 0); } get z() { return note('read', 3); } })",
  "new (class extends (class { a = 1; }) { #secret = 1; b = 2; })",
  "Array.from({ length: 300 }, (_, i) => ({ id: i, name: 'n' + i, at: [i / 8, -i], on: i % 2 === 0, none: i % 3 ? undefined : null }))",
  "Object.fromEntries(Array.from({ length: 500 }, (_, i) => ['k' + i, i]))",
  "(() => { const shared = { a: 1 }; return [shared, shared, { shared }]; })()",
  "(() => { const list = [1, 2, 3, 4]; list.length = 2; return list; })()",
  "(() => { const list = []; list[0] = 1; list[1] = 2; list.push(3); return list; })()",
  "new Array(1, 2, 3)",
  "(() => { let text = ''; for (let i = 0; i < 3000; i++) text += 'part ' + i; return { text }; })()",
  nested(30, "1"),
  `${"[".repeat(64)}${"]".repeat(64)}`,
];
const special = [
  ..."undefined;()=>1;Symbol();1n;{a:()=>1,b:1};{a:Symbol(),b:1};[()=>1,Symbol(),function(){},class{}];{a:1n};[1,[2n]];-1n;{a:Math.max}".split(
    ";",
  ),
  ..."new Date(0);{a:new Date(NaN)};new Map([[1,2]]);new Set([1]);/x/g;new Error('e');new Number(1.5);new String('a\"');new Boolean(false);Object(1n)".split(
    ";",
  ),
  ..."new Uint8Array(3);new Float64Array([0.5]);new ArrayBuffer(2);new DataView(new ArrayBuffer(2));Promise.resolve(1);globalThis.JSON;Math;new WeakMap;globalThis;Object.prototype;Array.prototype".split(
    ";",
  ),
  ..."[1,,3];[,];new Array(3);Object.freeze([1,2]);Object.seal([1]);'abc'.match(/b/);Object.assign([1,2],{more:3});(function(){return arguments})(1,2)".split(
    ";",
  ),
  ..."{1:1};{b:1,1:2,a:3,0:4};{2147483648:1,a:2,4294967294:3,4294967295:4,2147483647:5};{a:{7:1}};[{'10':1,'9':2}];{4294967295:1,3:2}".split(
    ";",
  ),
  "JSON.rawJSON('1.50')",
  "{ a: JSON.rawJSON('\"x\"'), b: 1 }",
  "new (class extends Array {})(1, 2, 3)",
  "Array.from.call(class extends Array { toJSON() { return note('called', 1); } }, [1])",
  "Object.setPrototypeOf((function () { return arguments; })(1, 2), Array.prototype)",
  "Object.defineProperty(Object.setPrototypeOf(new Float64Array([0.5]), Array.prototype), 'like length', { value: 1 })",
  "(() => { const list = [1, 2]; list.length = 5; return list; })()",
  "(() => { const list = [1, 2]; list[9] = 3; return list; })()",
  "(() => { const list = [1, 2, 3]; delete list[1]; return list; })()",
  "(() => { const list = [1, 2, 3]; Object.defineProperty(list, 1, { get: () => note('read', 5) }); return list; })()",
  "(() => { const list = [1, 2, 3]; Object.setPrototypeOf(list, null); return list; })()",
  "(() => { const list = [1, 2, 3]; list.toJSON = () => note('called', 4); return list; })()",
  "{ a: 1, get b() { return note('read', 2); }, c: 3 }",
  "{ set a(value) {}, b: 1 }",
  "{ a: 1, get b() { throw note('read', new RangeError('no')); } }",
  "{ a: 1, get b() { throw 'a text'; } }",
  "{ a: { get b() { delete this.c; return note('read', 2); }, c: 3, d: 4 } }",
  "{ toJSON() { return note('called', 7); } }",
  "{ a: { toJSON(key) { return note('called with ' + key, { key }); } } }",
  "[{ toJSON(key) { return note('called with ' + key, [key]); } }]",
  "{ toJSON: 5, a: 1 }",
  "{ get toJSON() { return note('read', undefined); }, a: 1 }",
  "{ get toJSON() { return note('read', () => note('called', 'x')); }, a: 1 }",
  "Object.defineProperty({ a: 1 }, 'toJSON', { value: () => note('called', 2) })",
  "{ toJSON() { throw new TypeError('never'); } }",
  "new (class { a = 1; toJSON() { return note('called', 3); } })",
  "new (class extends (class { toJSON() { return note('called', 3); } }) { a = 1; })",
  "{ a: new (class { get toJSON() { return note('read'); } }) }",
  "Object.create(Object.create(Object.create(Object.create(Object.create(Object.create({ toJSON: () => note('called', 1) }))))))",
  "Object.create([])",
  "Object.create(new Proxy({}, { get: (target, name) => note('get ' + String(name)) }), { a: { value: 1, enumerable: true } })",
  "new Proxy({ a: 1 }, { get: (target, name) => note('get ' + String(name), target[name]), ownKeys: (target) => note('keys', Reflect.ownKeys(target)) })",
  "[1, new Proxy([1, 2], { get: (target, name) => note('get ' + String(name), target[name]) })]",
  "{ a: Proxy.revocable({}, {}) }",
  "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy }; })()",
  "{ ['__proto__']: 1, __proto__: { toJSON: () => note('called', 2) } }",
  "(() => { const ring = { a: 1 }; ring.self = ring; return ring; })()",
  "(() => { const list = []; list.push([list]); return list; })()",
  "(() => { const ring = { a: { b: [1] } }; ring.a.b.push(ring); return { ring }; })()",
  `(() => { const ring = {}; let at = ring; for (let i = 0; i < 63; i++) at = at.next = {}; at.next = ring; return ring; })()`,
  nested(32, "1"),
  nested(33, "[[1],[2]]"),
  "(() => { let value = []; for (let i = 0; i < 2000; i++) value = [value]; return value; })()",
  // Prototypes that somebody changed.
  "(Object.prototype.toJSON = () => note('called', 'changed'), later(() => delete Object.prototype.toJSON), { a: [1] })",
  "(Object.prototype.toJSON = 5, later(() => delete Object.prototype.toJSON), { a: [1] })",
  "(Object.defineProperty(Object.prototype, 'toJSON', { configurable: true, get: () => note('read', () => note('called', 1)) }), later(() => delete Object.prototype.toJSON), [1, {}])",
  "(Object.assign(Object.prototype, Object.fromEntries(Array.from({ length: 120 }, (_, i) => ['p' + i, i]))), later(() => { for (let i = 0; i < 120; i++) delete Object.prototype['p' + i]; }), Object.prototype.toJSON = () => note('called', 'last'), later(() => delete Object.prototype.toJSON), [{ a: 1 }])",
  "(Array.prototype.toJSON = () => note('called', 'changed'), later(() => delete Array.prototype.toJSON), { a: [1] })",
  "(String.prototype.toJSON = () => note('called', 'changed'), later(() => delete String.prototype.toJSON), { a: ['x'], b: 1, c: true })",
  "(BigInt.prototype.toJSON = () => note('called', 'big'), later(() => delete BigInt.prototype.toJSON), { a: 1n })",
  "((toString) => { Number.prototype.toString = () => note('called', 'x'); later(() => (Number.prototype.toString = toString)); })(Number.prototype.toString) ?? ({ a: 1.5, b: 1e21, c: 0.1 + 0.2 })",
  "(Object.setPrototypeOf(Array.prototype, { toJSON: () => note('called', 2) }), later(() => Object.setPrototypeOf(Array.prototype, Object.prototype)), [1])",
  "(Array.prototype[1] = note('set', 'inherited'), later(() => delete Array.prototype[1]), [[1, , 3], [1, 2]])",
  "(Object.prototype.inherited = 1, later(() => delete Object.prototype.inherited), { a: 1 })",
];

describe("native.stringify and JSON.stringify", () => {
  before(start);

  test("what is plain is written here, as the engine writes it", () => {
    for (const one of [...numbers, ...otherNumbers, ...texts, ...plain]) {
      expectWritten(one);
      if (one.startsWith("[[[[")) continue; // as deep as can be
      expectWritten(`[${one},${one}]`);
      expectWritten(`{ a: ${one}, b: [ ${one}, { c: ${one} }] }`);
    }
    for (const one of texts) expectWritten(`{ ["k" + ${one}]: 1, a: { ["kk" + ${one}]: ${one} } }`);
  });

  test("what is not is the engine's, to the order of what is called and the stack of errors", () => {
    for (const one of special) {
      expectSame(one);
      expectSame(`[1, ${one}, 2]`);
      expectSame(`{ a: "first", b: ${one}, c: { d: ${one} } }`);
      expectSame(`[{ k: 1, l: ${one} }, { k: ${one}, l: [${one}] }]`);
    }
  });

  test("the shape of objects from native.json", () => {
    const text = '[{"a":1,"b":{"c":"x"}},{"a":2,"b":{"c":"y"}},{"b":1,"a":2}]';
    const value = machine.json(toUtf8(text));
    equal(machine.string(machine.apply(stringify, value)), text);
  });

  const made = fc.letrec((tie) => ({
    leaf: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.string({ maxLength: 60 })).map((text) => JSON.stringify(text)),
      },
      { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom("\\ud83d", "\\ude00", "€", "a", "é", "\\n") }).map((text) => `"${text}"`) },
      {
        weight: 4,
        arbitrary: fc.oneof(fc.integer(), fc.double(), fc.float()).map((value) => (Object.is(value, -0) ? "-0" : String(value))),
      },
      { weight: 3, arbitrary: fc.tuple(fc.integer(), fc.integer({ min: 1, max: 9 })).map(([value, digits]) => `${value} / 1e${digits}`) },
      { weight: 4, arbitrary: fc.constantFrom("true", "false", "null", "undefined") },
      { weight: 1, arbitrary: fc.constantFrom("() => 1", "Symbol()", "1n", "new Date(1)", "new Map", "Object(1)", "[,1]") },
    ),
    key: fc.oneof(
      { weight: 8, arbitrary: fc.oneof(fc.constantFrom("a", "b", "id", "name"), fc.string()).map((key) => `[${JSON.stringify(key)}]`) },
      { weight: 1, arbitrary: fc.constantFrom("[Symbol()]", "1", "0", "4294967294", "4294967295", "toJSON") },
    ),
    property: fc.oneof(
      { weight: 20, arbitrary: fc.tuple(tie("key"), tie("value")).map(([key, value]) => `${String(key)}: ${String(value)}`) },
      { weight: 1, arbitrary: tie("value").map((value) => `get got() { return note("read", ${String(value)}); }`) },
      { weight: 1, arbitrary: tie("value").map((value) => `toJSON() { return note("called", ${String(value)}); }`) },
    ),
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      tie("leaf"),
      fc.array(tie("value"), { maxLength: 6 }).map((list) => `[${list.join()}]`),
      fc.array(tie("property"), { maxLength: 6 }).map((list) => `{${list.join()}}`),
      fc
        .array(tie("leaf"), { minLength: 2, maxLength: 2 })
        .map(([a, b]) => `[1,2,3].map((id) => ({ id, a: ${String(a)}, b: ${String(b)} }))`),
    ),
  })).value;

  test("values of all kinds, drawn at random", () => {
    fc.assert(
      fc.property(made, (expression) => void expectSame(String(expression))),
      { numRuns: 3000 },
    );
  });

  test("what native.json reads is written as it was", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, noUnicodeString: false }), (value) => {
        const read = machine.json(toUtf8(JSON.stringify(value)));
        const written = machine.apply(stringify, read);
        deepEqual(JSON.parse(machine.string(written)), JSON.parse(JSON.stringify(value)));
        machine.free(read, written);
      }),
      { numRuns: 1000 },
    );
  });

  test("numbers: decimals of every length, their neighbours, any bits", () => {
    const wrong = machine.run(`(() => {
      let state = 20261128;
      const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) | 0) >>> 0) / 4294967296;
      const double = new Float64Array(1), word = new BigInt64Array(double.buffer);
      const wrong = [];
      const check = (value) => {
        for (const one of [value, -value]) if (native.stringify(one) !== engineStringify(one)) wrong.push(String(one));
      };
      for (let i = 0; i < 60000; i++) {
        const size = 10 ** Math.floor(random() * 17);
        double[0] = Math.floor(random() * size) / 10 ** Math.floor(random() * 12);
        check(double[0]);
        for (const step of [1n, -2n]) {
          word[0] += step;
          check(double[0]);
        }
        word[0] = BigInt.asIntN(64, (BigInt(Math.floor(random() * 4294967296)) << 32n) | BigInt(Math.floor(random() * 4294967296)));
        check(double[0]);
      }
      return wrong.slice(0, 20).join();
    })()`);
    equal(machine.string(wrong), "");
  });

  test("texts longer than a frame of effects", () => {
    for (const expression of [`["x".repeat(65 << 20)]`, `Array.from({ length: 9 }, () => "x".repeat(8 << 20))`]) {
      const make = machine.run(`() => ${expression}`);
      equal(
        machine.string(machine.apply(machine.run("(make) => String(native.stringify(make()) === engineStringify(make()))"), make)),
        "true",
      );
    }
  });
});

describe("native.stringify and the machine's memory", () => {
  before(start);

  const values = [
    `{ id: 7, total: 522.5, name: "ADA", route: ["small", null, true] }`,
    `[Math.PI, 1e21, { a: 0.1 + 0.2 }]`,
    `{ rope: "x".repeat(9000) + "y".repeat(9000), more: "z".repeat(9000) + "ü" }`,
    `{ a: [1, 2, 3], at: new Date(0), b: { c: 1n.toString() } }`,
    `{ a: [1n] }`,
  ];

  test("nothing is left behind", () => {
    for (const expression of values) {
      const make = machine.run(`() => (${expression})`);
      const once = (): void => {
        const value = machine.apply(make);
        machine.free(machine.apply(stringify, value), value, machine.call("qjs_get_exception"));
      };
      once();
      machine.call("qjs_run_gc");
      const before = machine.usage();
      once();
      machine.call("qjs_run_gc");
      deepEqual(machine.usage(), before, expression);
    }
  });

  test("when memory runs out at any moment, the exception stands and nothing is left", () => {
    for (const expression of values.slice(0, 4)) {
      const make = machine.run(`() => (${expression})`);
      const first = machine.apply(make);
      const expected = machine.string(machine.apply(stringify, first));
      machine.free(first);
      let refused = 0;
      for (let more = 0; ; more += more < 2000 ? 16 : 500) {
        machine.call("qjs_run_gc");
        const before = machine.usage();
        const value = machine.apply(make);
        machine.limit(machine.usage().bytes + more);
        const written = machine.apply(stringify, value);
        machine.limit(0);
        const failed = machine.isException(written);
        if (!failed) equal(machine.string(written), expected);
        machine.free(value, failed ? machine.call("qjs_get_exception") : written);
        machine.call("qjs_run_gc");
        deepEqual(machine.usage(), before, `${expression}: ${more} bytes`);
        if (!failed) break;
        refused++;
      }
      ok(refused > 2, `${expression}: memory ran out in many places`);
    }
  });

  test("the effects before it stay as they are, and a longer outbox has them too", () => {
    machine = new NativeMachine();
    machine.run(`native.emit(3, "before", true)`);
    const { door } = machine.kernel;
    const [at, length] = [door.effects(), door.effectsLength()];
    const frame = machine.bytesAt(at, length);
    for (const count of [1, 5000]) {
      machine.run(`native.stringify(Array.from({ length: ${count} }, (_, i) => ({ i })))`);
      equal(door.effectsLength(), length);
      deepEqual(machine.bytesAt(door.effects(), length), frame);
    }
  });

  test("the outbox grows with values that have no text", () => {
    for (const one of ["12345678", "-2147483648", "null", "false", "0.25", "-123456789.25", "Math.PI", "[]", "{}", "[[[]]]", "undefined"]) {
      machine = new NativeMachine();
      const at = machine.kernel.door.effects();
      const [ours, engines] = ["native", "JSON"].map((name) =>
        machine.run(`() => ${name}.stringify(Array.from({ length: 9000 }, () => ${one}))`),
      ) as [Box, Box];
      const behind = machine.bytesAt(at + (16 << 10) + 16, 32_000); // past the header of what lies there
      const written = machine.apply(ours);
      deepEqual(machine.bytesAt(at + (16 << 10) + 16, 32_000), behind, one);
      equal(machine.string(written), machine.string(machine.apply(engines)));
    }
  });

  test("the outbox grows before anything is written behind its end", () => {
    const capacity = 16 << 10;
    const endings = [
      "1",
      "[[[[[[[[1]]]]]]]]",
      "-123456789.25",
      '"\\x01\\x01"',
      '"é\\x02"',
      '"€"',
      "{}",
      "[]",
      `{ a: "x" }`,
      "Math.PI",
      nested(31, "2"),
    ];
    const differences = Array.from({ length: 12 }, (_, i) => -700 + 60 * i).concat([
      -264, -257, -256, -255, -254, -9, -8, -7, -2, -1, 0, 1,
    ]);
    for (const [index, ending] of endings.entries()) {
      for (const difference of differences) {
        machine = new NativeMachine();
        const { door } = machine.kernel;
        const at = door.effects();
        const inner = `["x".repeat(${capacity + difference - index}), ${ending}]`;
        const [ours, engines] = ["native", "JSON"].map((name) => machine.run(`() => ${name}.stringify(${inner})`)) as [Box, Box];
        const behind = machine.bytesAt(at + capacity, 256);
        const written = machine.apply(ours);
        if (door.effects() === at) deepEqual(machine.bytesAt(at + capacity, 256), behind, inner);
        const text = machine.string(written);
        equal(text, machine.string(machine.apply(engines)));
        if (text.length > capacity) ok(door.effects() !== at);
      }
    }
  });
});
