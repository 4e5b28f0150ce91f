/** The engine's objects, shapes, arrays, strings and atoms lie in memory as kernel/native/objects.ts says, which json.ts and json-write.ts rest on. */
import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { toUtf8 } from "#base";
import * as objects from "../native/objects.ts";
import { NativeMachine } from "./testing/native-machine.ts";

describe("the engine's structures in memory", () => {
  let machine: NativeMachine;
  before(() => void (machine = new NativeMachine()));

  const u32 = (at: number): number => machine.memory.getUint32(at, true);
  const u8 = (at: number): number => machine.memory.getUint8(at);
  const at = (expression: string): number => machine.address(machine.run(`(${expression})`));
  const shapeOf = (object: number): number => u32(object + objects.objectShape);
  const properties = (shape: number): number => shape + objects.shapeTable + (u32(shape + objects.shapeBuckets) + 1) * objects.bucketBytes;
  const classOf = (object: number): number => machine.memory.getUint16(object + objects.objectClass, true);
  const atom = (name: string): number => {
    const address = machine.call("wasm_malloc", name.length);
    new Uint8Array(machine.kernel.engine.memory.buffer).set(toUtf8(name), address);
    return machine.call("JS_NewAtomLen", machine.call("qjs_get_context_ptr"), address, name.length);
  };
  const atomString = (index: number): number => u32(u32(machine.call("qjs_get_runtime_ptr") + objects.runtimeAtoms) + 4 * index);

  test("object: counts, list, shape, values, size", () => {
    const value = machine.run("({ first: 1, second: 2, third: 3 })");
    const at = machine.address(value);
    equal(u32(at - objects.countBefore), 1);
    const again = machine.call("qjs_dup_value", value);
    equal(u32(at - objects.countBefore), 2);
    machine.free(again);
    equal(u32(at - objects.countBefore), 1);
    equal(u32(u32(at + objects.objectNext) + objects.objectPrevious), at);
    equal(u32(u32(at + objects.objectPrevious) + objects.objectNext), at);
    const values = u32(at + objects.objectValues);
    deepEqual(
      [0, 8, 16].map((i) => machine.memory.getBigUint64(values + i, true)),
      [1n, 2n, 3n],
    );
    const usable = machine.call("js_malloc_usable_size", machine.call("qjs_get_context_ptr"), at);
    equal(usable, objects.objectBytes);
    const other = machine.address(machine.run("({ first: 4, second: 5, third: 6 })"));
    for (let i = objects.objectBody; i < 24; i += 4) equal(u32(at + i) === u32(other + i), i !== objects.objectValues, `offset ${i}`);
    equal(machine.memory.getUint8(at - objects.kindBefore), machine.memory.getUint8(other - objects.kindBefore));
    notEqual(
      machine.memory.getUint8(at - objects.kindBefore),
      machine.memory.getUint8(shapeOf(machine.address(value)) - objects.kindBefore),
    );
  });

  test("shape: counts, hashed, properties, room, atoms", () => {
    const value = machine.run("globalThis.one = { alpha: 1, beta: 2, gamma: 3 }");
    const shape = shapeOf(machine.address(value));
    const count = u32(shape - objects.countBefore);
    const other = machine.run("({ alpha: 4, beta: 5, gamma: 6 })");
    equal(shapeOf(machine.address(other)), shape);
    equal(u32(shape - objects.countBefore), count + 1);
    machine.free(other);
    equal(u32(shape - objects.countBefore), count);
    equal(machine.memory.getUint8(shape + objects.shapeIsHashed), 1);
    deepEqual([u32(shape + objects.shapeProperties), u32(shape + objects.shapeDeleted)], [3, 0]);
    const usable = machine.call(
      "js_malloc_usable_size",
      machine.call("qjs_get_context_ptr"),
      u32(machine.address(value) + objects.objectValues),
    );
    ok(u32(shape + objects.shapeRoom) >= 3 && u32(shape + objects.shapeRoom) * 8 <= usable);
    const properties = shape + objects.shapeTable + (u32(shape + objects.shapeBuckets) + 1) * objects.bucketBytes;
    const atoms = [0, 1, 2].map((i) => u32(properties + i * objects.propertyBytes + objects.propertyAtom));
    deepEqual(atoms, ["alpha", "beta", "gamma"].map(atom));
    machine.run("delete one.beta");
    equal(machine.memory.getUint8(shapeOf(machine.address(value)) + objects.shapeIsHashed), 0);
    equal(u32(shapeOf(machine.address(value)) + objects.shapeDeleted), 1);
  });

  test("classes, flags, prototypes", () => {
    equal(classOf(at("{}")), objects.classObject);
    equal(classOf(at("[]")), objects.classArray);
    equal(u8(at("{}") + objects.objectFlags) & objects.flagExotic, 0);
    equal(u8(at("new Proxy({}, {})") + objects.objectFlags) & objects.flagExotic, objects.flagExotic);
    for (const [expression, fast] of [
      ["[1, 2]", objects.flagFast],
      ["[1, , 2]", 0],
      ["Object.freeze([1])", 0],
    ] as const)
      equal(u8(at(expression) + objects.objectFlags) & objects.flagFast, fast, expression);
    equal(u32(shapeOf(at("{}")) + objects.shapePrototype), at("Object.prototype"));
    equal(u32(shapeOf(at("[]")) + objects.shapePrototype), at("Array.prototype"));
    equal(u32(shapeOf(at("Object.create(null)")) + objects.shapePrototype), 0);
  });

  test("arrays: elements and their count, length first among the values", () => {
    const array = at("globalThis.list = [7, 8, 9]");
    equal(u32(array + objects.arrayCount), 3);
    const elements = u32(array + objects.arrayElements);
    deepEqual(
      [0, 8, 16].map((i) => machine.memory.getBigUint64(elements + i, true)),
      [7n, 8n, 9n],
    );
    const values = u32(array + objects.objectValues);
    equal(machine.memory.getBigUint64(values, true), 3n);
    machine.run("list.length = 5");
    deepEqual([machine.memory.getBigUint64(values, true), u32(array + objects.arrayCount)], [5n, 3]);
    equal(u32(shapeOf(array) + objects.shapeProperties), 1);
    equal(u32(properties(shapeOf(array)) + objects.propertyAtom), atom("length"));
  });

  test("properties: flags and atoms, of those that were deleted as well", () => {
    const object = at("globalThis.one = { plain: 1, get read() { return 1; }, gone: 1 }");
    machine.run("Object.defineProperty(one, 'hidden', { value: 1 }); delete one.gone;");
    const shape = shapeOf(object);
    const mask = objects.propertyEnumerable | objects.propertySpecial;
    const names = ["plain", "read", "", "hidden"];
    const kinds = [objects.propertyEnumerable, objects.propertyEnumerable | (1 << 30), 0, 0];
    for (const [i, name] of names.entries()) {
      const property = properties(shape) + i * objects.propertyBytes;
      equal(u32(property) & mask, kinds[i], name);
      equal(u32(property + objects.propertyAtom), name === "" ? 0 : atom(name));
    }
  });

  test("strings and atoms", () => {
    const characters = (text: number, bytes: number): string =>
      Buffer.from(machine.bytesAt(text + objects.stringCharacters, bytes)).toString("latin1");
    const narrow = at("'narrow é'");
    deepEqual([u32(narrow), characters(narrow, 8)], [8, "narrow é"]);
    const wide = at("'€uro'");
    deepEqual([u32(wide) >>> 31, u32(wide) & 0x7fffffff, machine.memory.getUint16(wide + objects.stringCharacters, true)], [1, 4, 0x20ac]);
    equal(u32(narrow + objects.stringHash) & objects.stringKind, 0);
    for (const [text, size] of [
      ["x", 1],
      ["€", 2],
    ] as const) {
      const slice = at(`globalThis.sliced = ("${text}".repeat(3000) + "tail").slice(500)`);
      equal(u32(slice + objects.stringHash) & objects.stringKind, objects.stringIsSlice);
      equal(u32(u32(slice + objects.stringCharacters)) & 0x7fffffff, 3004);
      equal(u32(slice + objects.sliceStart), 500 * size);
    }
    equal(objects.atomToJson, atom("toJSON"));
    const key = atomString(atom("some key"));
    deepEqual([u32(key), characters(key, 8), u32(key + objects.stringHash) >>> 30], [8, "some key", objects.atomIsString]);
    const symbols = at("{ [Symbol('s')]: 1, [Symbol.for('t')]: 2, 7: 3 }");
    const atoms = [0, 1, 2].map((i) => u32(properties(shapeOf(symbols)) + i * objects.propertyBytes + objects.propertyAtom));
    for (const symbol of atoms.slice(0, 2)) ok(u32(atomString(symbol) + objects.stringHash) >>> 30 !== objects.atomIsString);
    equal(atoms[2], 0x80000007);
  });
});
