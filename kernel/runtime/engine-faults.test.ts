/** Faults of the engine: those that are mended from outside, and one that docs/FLOWS.md tells of. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bootMachine, deliver } from "./testing/fake-machine.ts";

async function reply(handler: string): Promise<unknown> {
  const machine = await bootMachine(`import { flow } from "mayfly"; export default flow(${handler});`);
  const end = machine.event(deliver).effects.at(-1);
  assert.ok(end?.kind === "done");
  return JSON.parse(new TextDecoder().decode(end.reply?.body));
}

/** Calls of async generators in all orders around a return, and the order in which they settle; runs in a machine and in Node. */
const orders = `async () => {
  const out = [];
  const turns = async (n) => { for (let turn = 0; turn < n; turn++) await undefined; };
  for (const body of ["plain", "waits", "throws"]) {
    async function* numbers() {
      try { yield 1; yield 2; } finally {
        if (body === "waits") await turns(3);
        if (body === "throws") throw new Error("end");
      }
    }
    for (const begun of [true, false]) {
      const each = numbers();
      if (begun) await each.next();
      const note = (name, call) => call.then(({ value, done }) => out.push([body, begun, name, value, done]), ({ message }) => out.push([body, begun, name, message]));
      note("return", each.return(5));
      note("next", each.next());
      note("another return", each.return(Promise.resolve(6)));
      note("throw", each.throw(new Error("thrown")));
      note("another next", each.next());
      await turns(50);
      note("late", each.next());
      await turns(50);
    }
  }
  return out;
}`;

test("calls of an async generator that queue behind its return() settle as in Node", async () => {
  const inNode = await (new Function(`return (${orders})()`) as () => Promise<unknown>)();
  assert.deepEqual(await reply(orders), JSON.parse(JSON.stringify(inNode)));
});

test("the methods of async generators keep their names and lengths, and reject when called on anything else", async () => {
  const found = await reply(`async () => {
    const prototype = Object.getPrototypeOf(async function* () {}).prototype;
    const wrong = await prototype.return.call(5, 1).catch((error) => error instanceof TypeError);
    return [...["next", "return", "throw"].map((name) => [prototype[name].name, prototype[name].length, "prototype" in prototype[name]]), wrong];
  }`);
  assert.deepEqual(found, [["next", 1, false], ["return", 1, false], ["throw", 1, false], true]);
});

test("powers of two are written exactly, though not as short as they could be, and read back the same", async () => {
  assert.deepEqual(await reply("() => [String(2 ** -24), Number(String(2 ** -24)) === 2 ** -24]"), ["5.9604644775390625e-8", true]);
  assert.match(readFileSync("docs/FLOWS.md", "utf8"), /`5\.9604644775390625e-8`/);
});
