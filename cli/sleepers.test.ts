/** Sleeping machines of a gateway that runs: signals over HTTP and by command, lists, waking, ending, and images that are replaced meanwhile. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const timeout = 60_000;

const source = (version: string): string => `import { flow } from "mayfly";
export default flow<"out">(async (msg, { to, wait, log }) => {
  const { id } = msg.json<{ id: string }>();
  log.info("waiting for " + id);
  to.out.send({ id, pay: true });
  const payment = await wait<{ amount: number }>("payment", { key: id, timeout: "2d" });
  to.out.send({ id, paid: payment?.json().amount ?? "late", version: "${version}" });
});`;

interface Sleepers {
  readonly sleepers: readonly {
    readonly id: string;
    readonly flow: string;
    readonly image: string;
    readonly since: string;
    readonly until: string;
    readonly state: string;
    readonly problem: string | null;
    readonly waits: readonly { readonly name: string; readonly key: string }[];
  }[];
}

let folder: string;
let serving: Serving | undefined;
let peerUrl = "";
let saw: Record<string, unknown>[] = [];
let onPeer: () => void = () => undefined;
const peer = createServer((request, response) => {
  let text = "";
  request.on("data", (piece) => (text += String(piece)));
  request.on("end", () => {
    saw.push(JSON.parse(text) as Record<string, unknown>);
    response.end();
    onPeer();
  });
});
before(async () => {
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  peerUrl = `http://127.0.0.1:${(peer.address() as AddressInfo).port}/`;
});
after(() => {
  peer.closeAllConnections();
  peer.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-sleepers-"));
  saw = [];
  await writeFile(join(folder, "orders.ts"), source("1"));
});
afterEach(async () => {
  await serving?.stop();
  serving = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function started(journal = "memory: true"): Promise<Serving> {
  const yaml = `http: { port: 0 }
journal: { ${journal} }
flows:
  orders:
    flow: orders.ts
    from: [ { http: { path: /orders, mode: accept } } ]
    signals:
      payment: { from: [ { http: { path: "/payments/:order" } } ], key: "path:order" }
    to: { out: { http: { url: "${peerUrl}" } } }
`;
  await writeFile(join(folder, "mayfly.yaml"), yaml);
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
  return serving;
}

/** The peer has what is looked for. */
async function peerHas(wanted: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const find = (): Record<string, unknown> | undefined =>
    saw.find((each) => Object.entries(wanted).every(([name, value]) => each[name] === value));
  while (find() === undefined) await new Promise<void>((resolve) => (onPeer = resolve));
  return find() ?? {};
}

function run(...words: string[]): ReturnType<typeof capture> {
  return capture([...words, "-c", join(folder, "mayfly.yaml")]);
}

async function list(): Promise<Sleepers["sleepers"]> {
  const { code, out, err } = await run("sleepers", "ls", "--json");
  equal(code, 0, err);
  return (JSON.parse(out) as Sleepers).sleepers;
}

/** The machine sleeps: a send of its first transaction may be out before that is on record. */
async function asleep(id: string): Promise<Sleepers["sleepers"][number]> {
  await peerHas({ id, pay: true });
  for (;;) {
    const found = (await list()).find(({ waits }) => waits.some(({ key }) => key === id));
    if (found !== undefined) return found;
  }
}

async function order(id: string): Promise<string> {
  const response = await fetch(`${serving?.url}/orders`, { method: "POST", body: JSON.stringify({ id }) });
  equal(response.status, 202);
  return ((await response.json()) as { id: string }).id;
}

async function pay(
  id: string,
  amount: number,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${serving?.url}/payments/${id}`, { method: "POST", body: JSON.stringify({ amount }), headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("a signal over HTTP wakes its machine; one that is early is kept for it; a duplicate counts once", { timeout }, async () => {
  await started();
  const message = await order("A");
  const { flow, image, since, until, waits, id } = await asleep("A");
  deepEqual(
    { flow, id, waits: waits.map(({ name, key }) => ({ name, key })) },
    { flow: "orders", id: message, waits: [{ name: "payment", key: "A" }] },
  );
  match(image, /^[0-9a-f]{64}$/);
  equal(Date.parse(until) - Date.parse(since) > 1.9 * 86_400_000, true);
  const early = await pay("B", 5, { "idempotency-key": "e1" });
  deepEqual([early.status, early.body["id"], early.body["waiting"]], [202, "e1", false]);
  const again = await pay("B", 6, { "idempotency-key": "e1" });
  deepEqual([again.status, again.body["status"]], [202, "duplicate"]);
  const awaited = await pay("A", 7);
  deepEqual([awaited.status, awaited.body["waiting"]], [202, true]);
  equal((await peerHas({ id: "A", version: "1" }))["paid"], 7);
  await order("B");
  equal((await peerHas({ id: "B", version: "1" }))["paid"], 5);
  deepEqual(
    saw.filter(({ pay: asked }) => asked === true).map(({ id: asked }) => asked),
    ["A", "B"],
  );
});

test("mayfly signal: kept, early, duplicate, refused; sleepers show, signal, wake and cancel", { timeout }, async () => {
  await started();
  const id = await order("A");
  await asleep("A");
  const file = join(folder, "payment.json");
  await writeFile(file, '{"amount":9}');
  const early = await run("signal", "orders", "payment", "--key", "later", "-m", file, "--id", "s1");
  equal(early.code, 0, early.err);
  match(early.out, /^s1 is kept safe; nobody waits for it yet: it is kept for its wait until \d{4}-/);
  const duplicate = await run("signal", "orders", "payment", "--key", "later", "-m", file, "--id", "s1", "--json");
  deepEqual([duplicate.code, (JSON.parse(duplicate.out) as { status: string }).status], [0, "duplicate"]);
  const unknown = await run("signal", "ordres", "payment", "--key", "A", "-m", file);
  deepEqual([unknown.code, /MF_FLOW_UNKNOWN.*did you mean "orders"/.test(unknown.err)], [2, true], unknown.err);
  const shown = await run("sleepers", "show", id);
  equal(shown.code, 0, shown.err);
  match(shown.out, /payment \(key A\)/);
  match(shown.out, /waiting for A/);
  const other = await run("sleepers", "signal", id, "approval", "-m", file);
  deepEqual([other.code, /does not wait for approval, but for payment \(key A\)/.test(other.err)], [2, true], other.err);
  equal((await run("sleepers", "signal", id, "payment", "-m", file)).code, 0);
  equal((await peerHas({ id: "A", version: "1" }))["paid"], 9);
  const second = await order("C");
  await asleep("C");
  equal((await run("sleepers", "wake", second)).code, 0);
  equal((await peerHas({ id: "C", version: "1" }))["paid"], "late");
  const third = await order("D");
  await asleep("D");
  equal((await run("sleepers", "cancel", third)).code, 0);
  const letters = await run("dlq", "ls", "--json");
  const [letter] = JSON.parse(letters.out) as { messageId: string; failure: { code: string } }[];
  deepEqual([letter?.messageId, letter?.failure.code], [third, "MF_CANCELLED_BY_OPERATOR"]);
  const gone = await run("sleepers", "show", third);
  deepEqual([gone.code, gone.err.includes("MF_SLEEPER_UNKNOWN")], [2, true], gone.err);
});

test("a machine wakes in its own image, whatever is deployed", { timeout }, async () => {
  await started();
  await order("A");
  await order("B");
  await asleep("A");
  const { image } = await asleep("B");
  await writeFile(join(folder, "orders.ts"), source("2"));
  await serving?.reload();
  const images = JSON.parse((await run("images", "ls", "--json")).out) as {
    images: { sha256: string; sleepers: number; usedBy: string[] }[];
  };
  const old = images.images.find(({ sha256 }) => sha256 === image);
  deepEqual([old?.sleepers, old?.usedBy], [2, []]);
  await pay("A", 1);
  equal((await peerHas({ id: "A", paid: 1 }))["version"], "1");
  await order("C");
  await pay("C", 2);
  equal((await peerHas({ id: "C", paid: 2 }))["version"], "2");
});

test("after a restart a machine without its image is stuck, says why, and goes on once the image is back", { timeout }, async () => {
  await started("dir: journal");
  const id = await order("A");
  const { image } = await asleep("A");
  const other = await order("B");
  await asleep("B");
  await serving?.stop();
  const stopped = await run("sleepers", "ls", "--json");
  deepEqual([stopped.code, (JSON.parse(stopped.out) as Sleepers).sleepers.map((row) => row.id)], [0, [id, other]]);
  match(stopped.err, /no gateway runs: read from/);
  match((await run("sleepers", "show", id)).out, /payment \(key A\)/);
  const away = await run("signal", "orders", "payment", "--key", "A");
  deepEqual([away.code, /MF_GATEWAY_UNREACHABLE.*start it with `mayfly serve`/.test(away.err)], [2, true], away.err);
  const file = join(folder, ".mayfly", "images", `${image}.mfi`);
  await rename(file, `${file}.away`);
  await writeFile(join(folder, "orders.ts"), source("2"));
  await started("dir: journal");
  await pay("A", 3);
  for (;;) {
    const [row] = await list();
    if (row?.state !== "stuck") continue;
    equal(row.id, id);
    match(row.problem ?? "", /^MF_SLEEPER_IMAGE: .*mayfly sleepers migrate/);
    break;
  }
  const ready = JSON.stringify(serving?.gateway.ready());
  match(ready, /"ready":true.*1 can't be woken: MF_SLEEPER_IMAGE/);
  const shown = await run("sleepers", "ls");
  match(shown.out, /stuck[^]*MF_SLEEPER_IMAGE/);
  const moved = await run("sleepers", "migrate", other);
  equal(moved.code, 0, moved.err);
  for (;;) if ((await list()).some((row) => row.id === other && row.image !== image && row.state === "asleep")) break;
  await pay("B", 8);
  equal((await peerHas({ id: "B", paid: 8 }))["version"], "2");
  await rename(`${file}.away`, file);
  await pay("A", 4); // the first is kept; the second makes it look again at once
  deepEqual(await peerHas({ id: "A", version: "1" }), { id: "A", paid: 3, version: "1" });
  equal(JSON.stringify(serving?.gateway.ready()).includes("woken"), false);
});
