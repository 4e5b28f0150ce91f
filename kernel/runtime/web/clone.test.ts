/** kernel/native/clone.ts: clones of plain data are what structuredClone gives, and what is not plain is given up without a trace. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NativeMachine } from "../testing/native-machine.ts";
import { runOut } from "../testing/scarce-memory.ts";

const machine = new NativeMachine();

/** The result of an expression as JSON. */
function said(expression: string): unknown {
  const box = machine.run(`JSON.stringify((() => { ${expression} })() ?? null)`);
  const text = machine.string(box);
  machine.free(box);
  return JSON.parse(text);
}

test("random data are cloned as they are, into objects and arrays of their own", () => {
  const key = fc.oneof(fc.constantFrom("a", "b", "0", "17", "__proto__", "toJSON", "é", "4294967295"), fc.string({ maxLength: 5 }));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      tie("leaf"),
      fc.array(tie("value"), { maxLength: 6 }),
      fc.dictionary(key, tie("value"), { maxKeys: 6 }),
    ),
    leaf: fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null), fc.string()),
  }));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 5 }), (given) => {
      const text = JSON.stringify(given);
      const result = said(`const given = JSON.parse(${JSON.stringify(text)}), clone = native.clone(given);
        const apart = (a, b) => typeof a !== "object" || a === null || (a !== b && Object.getPrototypeOf(a) === Object.getPrototypeOf(b) && Object.keys(a).every((name) => apart(a[name], b[name])));
        return [JSON.stringify(clone), apart(given, clone), JSON.stringify(given)];`);
      deepEqual(result, [JSON.stringify(JSON.parse(text)), true, text]);
    }),
    { numRuns: 400 },
  );
});

test("sharing, values and properties are kept", () => {
  const cases: readonly (readonly [expression: string, expected: unknown])[] = [
    ["const o = { n: 1 }, c = native.clone({ a: o, b: [o], c: o }); return c.a === c.b[0] && c.a === c.c && c.a !== o;", true],
    ["const o = {}, c = native.clone([o, o]); c[0].x = 1; return [c, Object.keys(o)];", [[{ x: 1 }, { x: 1 }], []]],
    [
      "const o = { a: 1, b: 2 }, c = native.clone(o); c.c = 3; delete c.a; return [o, c];",
      [
        { a: 1, b: 2 },
        { b: 2, c: 3 },
      ],
    ],
    [
      "const c = native.clone([NaN, -0, undefined, Infinity]); return [Number.isNaN(c[0]), Object.is(c[1], -0), 2 in c, c[3] === Infinity];",
      [true, true, true, true],
    ],
    ["const c = native.clone({ u: undefined }); return Object.hasOwn(c, 'u');", true],
    ["return Object.keys(native.clone({ b: 1, 2: 1, a: 1, 1: 1 }));", ["1", "2", "b", "a"]],
    ['const c = native.clone(JSON.parse(\'{"__proto__":{"x":1}}\')); return [Object.keys(c), c.x];', [["__proto__"], null]],
    [
      "const d = Object.getOwnPropertyDescriptor(native.clone({ a: 1 }), 'a'); return [d.writable, d.enumerable, d.configurable];",
      [true, true, true],
    ],
    ["return Object.isExtensible(native.clone({ a: {} }).a);", true],
    ["let s = 'x'; for (let i = 0; i < 300; i++) s += i; return native.clone({ s }).s === s;", true],
    [
      "const all = Array.from({ length: 200 }, (_, i) => ({ i })); const c = native.clone({ a: all, b: all.slice() }); return c.a.every((o, i) => o === c.b[i] && o.i === i);",
      true,
    ],
  ];
  for (const [expression, expected] of cases) deepEqual(said(expression), expected, expression);
});

test("what is not plain is given up", () => {
  const cases = [
    "const o = {}; o.self = o; return o;",
    "const a = []; a.push([a]); return a;",
    "return { a: Object.freeze({ b: 1 }) };",
    "return Object.preventExtensions({ a: 1 });",
    "return { get a() { globalThis.touched = true; return 1; } };",
    "return Object.defineProperty({}, 'a', { value: 1, enumerable: false });",
    "return Object.defineProperty({}, 'a', { value: 1, enumerable: true });",
    "return [new Date(0)];",
    "return { a: new Map() };",
    "return [/x/, 1];",
    "return { [Symbol('s')]: 1 };",
    "return [Symbol('s')];",
    "return [10n ** 30n];",
    "return [1, , 3];",
    "return Object.assign([1], { x: 1 });",
    "return new (class extends Array {})();",
    "return new (class A { x = 1; })();",
    "return Object.create(null);",
    "return [() => 1];",
    "return new Proxy({}, { get() { globalThis.touched = true; }, ownKeys() { globalThis.touched = true; return []; } });",
    "return new Uint8Array(3);",
    "const o = { a: 1 }; globalThis.weak = new WeakRef(o); return [o];",
    "let deep = 1; for (let i = 0; i < 80; i++) deep = [deep]; return deep;",
    "globalThis.all = Array.from({ length: 400 }, (_, i) => ({ i })); return [...all];",
    "return new Error('x');",
  ];
  for (const each of cases)
    equal(
      said(`const value = (() => { ${each} })(); return native.clone(value) === undefined && globalThis.touched === undefined;`),
      true,
      each,
    );
});

test("memory that runs out at any moment is an exception, and nothing stays", () => {
  const { whole, failed } = runOut(machine, {
    given: `globalThis.rows = Array.from({ length: 300 }, (_, i) => ({ id: i, tags: ["a" + i, { n: i / 3 }], shared: null }));
      rows.forEach((row, i) => { row.shared = rows[i % 7].tags; })`,
    call: "JSON.stringify(native.clone(rows))",
    most: 90_000,
    step: 311,
  });
  ok(whole.length > 10_000, whole);
  ok(failed > 20, String(failed));
});
