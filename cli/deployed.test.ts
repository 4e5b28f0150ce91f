/** `mayfly run` and flow tests hold a flow to its mayfly.yaml: what the gateway would refuse is refused here. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "#cli";

let folder: string;
const at = (name: string): string => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-deployed-"));
  await writeFile(
    at("orders.ts"),
    `import { flow } from "mayfly";
export default flow(async (msg, { to, state, values, fetch }) => {
  const deed = msg.text();
  if (deed === "spin") for (let i = 0; i < 1e9; i++) Math.sqrt(i);
  if (deed === "sends") for (let i = 0; i < 4; i++) to["audit"]!.send(i);
  if (deed === "stray send") to["nobody"]!.send(1);
  if (deed === "stray request") await to["nobody"]!.request(1);
  if (deed === "stray fetch") await fetch("https://elsewhere.example.com/a");
  if (deed === "fetch") return (await fetch("https://api.example.com/a")).text();
  if (deed === "state") state.set("seen", 1);
  return { key: msg.key ?? null, values, limits: "kept" };
});`,
  );
  await writeFile(at("declares.ts"), `import { flow } from "mayfly";\nexport default flow<"erp">((msg, { to }) => to.erp.send(msg));`);
  await writeFile(
    at("mayfly.yaml"),
    `flows:
  orders:
    flow: orders.ts
    from: [{ http: { path: /orders } }]
    to: { audit: { http: { url: "\${AUDIT_URL}" } } }
    hosts: [api.example.com]
    key: header:x-shop
    values: { region: graz, secret: "\${SECRET}" }
    limits: { cpu: 50ms, sends: "\${SENDS}" }
  declares: { flow: declares.ts, from: [], to: {} }
ceilings: { sends: 3 }
http: { port: "\${PORT}" }
`,
  );
  await writeFile(at("answer.txt"), "answered");
});
after(() => rm(folder, { recursive: true, force: true }));

interface RunJson {
  readonly reply: { readonly body: string } | null;
  readonly error?: { readonly code: string; readonly message: string };
}

async function run(deed: string, ...more: string[]): Promise<RunJson> {
  const values = ["run", at("orders.ts"), "-m", "-", "-t", "text/plain", "--no-check", "--json", ...more];
  const { out } = await capture(values, { stdin: deed, env: { SENDS: "100" } });
  return JSON.parse(out) as RunJson;
}

test("mayfly run: limits, ceilings, outlets, hosts, key and values are those of mayfly.yaml", async () => {
  equal((await run("spin")).error?.code, "MF_CPU_LIMIT");
  const many = (await run("sends")).error;
  deepEqual([many?.code, many?.message.includes("3 messages")], ["MF_EFFECT_LIMIT", true]);
  for (const deed of ["stray send", "stray request"]) {
    const { error } = await run(deed);
    equal(error?.code, "MF_OUTLET_UNKNOWN");
    match(error.message, /flows\.orders\.to/);
  }
  equal((await run("stray fetch")).error?.code, "MF_HOST_NOT_DECLARED");
  equal((await run("fetch", "--fetch", `https://api.example.com=${at("answer.txt")}`)).reply?.body, "answered");
  equal((await run("state")).error?.code, "MF_STATE_NO_KEY", "the message has nothing the key is made of");
  equal((await run("state", "-H", "x-shop=7")).error, undefined);
  equal((await run("state", "--key", "7")).error?.code, "MF_STATE_NO_KEY", "the flow's own key counts, not the source's");
  deepEqual(JSON.parse((await run("", "-H", "x-shop=7")).reply?.body ?? ""), { key: "7", values: { region: "graz" }, limits: "kept" });
  const given = await run("", "-H", "mayfly-value-region=wien");
  deepEqual(JSON.parse(given.reply?.body ?? ""), { key: null, values: { region: "wien" }, limits: "kept" });
  const stateless = await run("state", "--state", "{}");
  equal(stateless.error?.code, "MF_STATE_NO_KEY");
});

test("an outlet that the flow declares and is not given is refused, as at the gateway's start", async () => {
  const { code, out } = await capture(["run", at("declares.ts"), "--no-check", "--json"]);
  equal(code, 2);
  match(out, /MF_OUTLET_MISSING/);
  await writeFile(at("declares.flow-test.yaml"), "cases: [{ name: any, message: {}, expect: {} }]\n");
  equal((await capture(["test", at("declares.flow-test.yaml")])).code, 2);
});

test("flow tests are held to the same", async () => {
  await writeFile(
    at("orders.flow-test.yaml"),
    `cases:
  - { name: limits, message: { text: spin }, expect: { error: { code: MF_CPU_LIMIT } } }
  - { name: sends, message: { text: sends }, expect: { error: { code: MF_EFFECT_LIMIT } } }
  - { name: outlets, message: { text: stray send }, expect: { error: { code: MF_OUTLET_UNKNOWN } } }
  - { name: hosts, message: { text: stray fetch }, expect: { error: { code: MF_HOST_NOT_DECLARED } } }
  - { name: key, message: { text: state, headers: { x-shop: a } }, expect: { state: { seen: 1 } } }
  - { name: no key, message: { text: state }, expect: { error: { code: MF_STATE_NO_KEY } } }
  - { name: values, message: { text: "" }, expect: { reply: { json: { key: null, values: { region: graz }, limits: kept } } } }
`,
  );
  const { code, out, err } = await capture(["test", at("orders.flow-test.yaml")]);
  equal(code, 0, out + err);
});

test("a mayfly.yaml that is wrong is told, whatever the environment lacks", async () => {
  const broken = await mkdtemp(join(tmpdir(), "mayfly-deployed-"));
  try {
    await writeFile(join(broken, "a.ts"), 'import { flow } from "mayfly";\nexport default flow(() => 1);');
    await writeFile(join(broken, "mayfly.yaml"), "flows:\n  a: { flow: a.ts, from: [], limits: { cpu: soon } }\n");
    const { code, out } = await capture(["run", join(broken, "a.ts"), "--no-check", "--json"]);
    equal(code, 2);
    match(out, /MF_CONFIG_INVALID/);
  } finally {
    await rm(broken, { recursive: true, force: true });
  }
});
