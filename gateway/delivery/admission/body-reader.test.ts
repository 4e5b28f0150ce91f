/** Long bodies are read beside other work, and nothing overtakes them within their flow. */
import { deepEqual, ok, rejects } from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { toUtf8 } from "#base";
import { until, withGateway } from "../../testing/rig.ts";
import { done } from "../../testing/scripted.ts";
import { readInSlices } from "./body-reader.ts";
import { valuesAt } from "../../../base/json-pointer.ts";
import { bounded } from "./keys.ts";

const hostile: Readonly<Record<string, string>> = {
  values: `[${"1,".repeat(200_000)}1]`,
  nesting: "[".repeat(200_000) + "]".repeat(200_000),
  "names that are the pointer's": `{${'"a":1,'.repeat(60_000)}"a":2}`,
  "names in escapes": `{${'"\\u0061":1,'.repeat(60_000)}"a":2}`,
  "bytes in one text": `{"a":"${"x".repeat(12 << 20)}"}`,
  "escapes in one text": `{"b":"${"\\u0061".repeat(2 << 20)}"}`,
  "bytes in one name": `{"${"x".repeat(12 << 20)}":1}`,
  "digits in one number": `[${"1".repeat(12 << 20)}]`,
  "digits behind one point": `[1.${"1".repeat(12 << 20)}]`,
  "digits in one exponent": `[1e${"1".repeat(12 << 20)}]`,
  "bytes of space": `[${" ".repeat(12 << 20)}1]`,
  "no JSON at its end": `{"a":2,"b":[${"1,".repeat(200_000)}]}`,
};

/** A body that can't be read to its end. */
function unreadable(): Uint8Array {
  return Object.defineProperty(toUtf8(`{"a":"${"x".repeat(100_000)}"}`), "subarray", {
    value: () => {
      throw new Error("not to be read");
    },
  });
}

test("a reading that fails fails alone", async () => {
  const failing = readInSlices(unreadable(), [["a"]]);
  const behind = readInSlices(toUtf8(`{"a":"${"y".repeat(20_000)}"}`), [["a"]]);
  await rejects(failing, /not to be read/);
  deepEqual(await behind, ["y".repeat(20_000)]);
});

/** The turns that other work gets while a body is read. */
async function turnsBeside(bytes: Uint8Array): Promise<number> {
  const pointers = [["a"], ["b", "0"]];
  let over = false;
  let turns = 0;
  const others = (): void => {
    turns += 1;
    if (!over) setImmediate(others);
  };
  setImmediate(others);
  const found = await readInSlices(bytes, pointers);
  over = true;
  deepEqual(found.map(bounded), valuesAt(bytes, pointers).map(bounded));
  return turns;
}

for (const [name, text] of Object.entries(hostile))
  test(`a body of many ${name} is read in slices, and gives the same`, async () => {
    const turns = await turnsBeside(toUtf8(text));
    ok(turns >= 10, `${turns} turns of the event loop`);
  });

test("a key of many MiB is made of its value in slices as well", async () => {
  const turns = await turnsBeside(toUtf8(`{"a":"${"ü".repeat(5 << 20)}","b":[${"7".repeat(10 << 20)}]}`));
  ok(turns >= 160, `${turns} turns of the event loop`); // of which the search takes 40
});

test("a short one does not wait for a long one to end", async () => {
  const order: string[] = [];
  const read = (name: string, text: string): Promise<unknown> => readInSlices(toUtf8(text), [["a"]]).then(() => order.push(name));
  await Promise.all([read("long", hostile["values"] as string), read("short", '{"a":1}')]);
  deepEqual(order, ["short", "long"]);
});

test("a short message does not overtake a long one of its flow", async () => {
  const flow = '  orders: { image: orders.mfi, key: "json:/k", from: [ { http: { path: /orders, bodyLimit: 8MiB } } ] }';
  await withGateway(`flows:\n${flow}\n`, { orders: () => [done("fine")] }, async ({ url, runner }) => {
    const request = (body: string): string => `POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const bodies = [`{"k":"one","more":[${"1,".repeat(400_000)}1]}`, '{"k":"two"}', `{"more":[${"1,".repeat(20_000)}1],"k":"three"}`];
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.resume().write(bodies.map(request).join(""));
    await until(() => runner.delivered.length === 3);
    socket.destroy();
    deepEqual(
      runner.delivered.map(({ key }) => key),
      ["one", "two", "three"],
    );
  });
});
