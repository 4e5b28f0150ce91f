/**
 * Names that every object of JavaScript has are names like any other: of outlets, headers, state, values, path parameters, charsets, ids.
 * Such a name is found where somebody gave it, and nowhere else.
 */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const names = [
  "constructor",
  "hasOwnProperty",
  "toString",
  "valueOf",
  "isPrototypeOf",
  "__proto__",
  "__defineGetter__",
  "propertyIsEnumerable",
];

/** Names that mayfly.yaml accepts for outlets, and that the language does not look up by itself. */
const outletNames = ["hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString"];

const flow = `import { flow } from "mayfly";
export default flow(async (msg, { to, state, values }) => {
  const name = msg.text();
  if (msg.headers["x-do"] === "send") { Reflect.get(to, name)?.send?.("x"); return "sent"; }
  if (msg.headers["x-do"] === "ask") return (await Reflect.get(to, name)?.request?.("x"))?.status ?? "no outlet";
  const before = [state.has(name), state.get(name) ?? null, values[name] ?? null, msg.headers[name] ?? null];
  state.set(name, "kept");
  return { before, after: state.get(name), other: state.get("prototype") ?? null };
});`;

let folder: string;
let serving: Serving;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-names-"));
  await writeFile(join(folder, "flow.ts"), flow);
  const from = (path: string): string => `    from: [ { http: { method: POST, path: ${path} } } ]\n`;
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:\n  bare:\n    flow: flow.ts\n    key: header:x-key\n    retry: { attempts: 1 }\n${from("/bare/:constructor")}` +
      `  named:\n    flow: flow.ts\n${from("/named")}    to:\n` +
      outletNames.map((name) => `      ${name}: { file: { dir: out, name: "${name}.txt" } }\n`).join(""),
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
});
after(async () => {
  await serving?.stop();
  await rm(folder, { recursive: true, force: true });
});

const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${serving.url}${path}`, { method: "POST", body, headers: { "content-type": "text/plain", ...headers } });

for (const name of names) {
  test(`${name} is no outlet, state, value or header that nobody gave`, async () => {
    const sent = await post("/bare/p", name, { "x-do": "send", "x-key": "k" });
    const text = await sent.text();
    // The language's own names are not asked of outlets at all; the others are outlets that mayfly.yaml does not have.
    if (sent.status !== 200) match(text, /MF_OUTLET_UNKNOWN|MF_FLOW/);
    else equal(["constructor", "toString", "valueOf"].includes(name), true, `${name} was sent to`);
    const asked = await post("/bare/p", name, { "x-do": "ask", "x-key": "k" });
    if (asked.status === 200) equal(await asked.text(), "no outlet");
    const first = await post("/bare/p", name, { "x-key": `key of ${name}` });
    deepEqual(await first.json(), { before: [false, null, null, null], after: "kept", other: null });
    const second = await post("/bare/p", name, { "x-key": `key of ${name}` });
    deepEqual(await second.json(), { before: [true, "kept", null, null], after: "kept", other: null });
  });

  test(`${name} is a charset, an encoding and a key like any other unknown`, async () => {
    equal((await post("/bare/p", "x", { "content-type": `text/plain; charset=${name}`, "x-do": "send", "x-key": "k" })).status, 400);
    equal((await post("/bare/p", "x", { "content-encoding": name, "x-key": "k" })).status, 415);
    equal((await post("/bare/p", "valueOf", { "x-do": "send", "x-key": name })).status, 200);
  });
}

test("an outlet of such a name is an outlet", async () => {
  for (const name of outletNames) equal((await post("/named", name, { "x-do": "send" })).status, 200, name);
  await serving.stop();
  for (const name of outletNames) equal(await readFile(join(folder, "out", `${name}.txt`), "utf8"), "x", name);
});
