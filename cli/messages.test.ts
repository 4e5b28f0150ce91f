/** `mayfly messages`, `trace` and `resubmit`, with a gateway that runs, and from the folder of one that does not. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

let folder: string;
let config: string;
let serving: Serving;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-messages-"));
  config = join(folder, "mayfly.yaml");
  await writeFile(
    join(folder, "orders.ts"),
    `import { fail, flow } from "mayfly";
export default flow<"bills">((msg, { to, log }) => {
  const order = msg.json<{ id: number; bad?: boolean }>();
  log.info("looking", { id: order.id });
  if (order.bad) fail("not good", { code: "NOT_GOOD", retry: false });
  to.bills.send({ bill: order.id });
});`,
  );
  await writeFile(join(folder, "bills.ts"), `import { flow } from "mayfly";\nexport default flow(() => undefined);`);
  await writeFile(
    config,
    `flows:
  orders: { flow: orders.ts, key: json:/id, to: { bills: { flow: { name: bills } } } }
  bills: { flow: bills.ts, key: json:/bill }
`,
  );
  serving = await serve({ file: config, port: 0, logger: { ...silentLogger, child: () => silentLogger } });
});
after(async () => {
  await serving?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Message {
  readonly id: string;
  readonly flow: string;
  readonly status: string;
  readonly key: string | null;
}

async function told(...args: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return await capture([...args, "-c", config]);
}

async function listed(...more: string[]): Promise<Message[]> {
  const { code, out, err } = await told("messages", "ls", "--json", ...more);
  equal(code, 0, err);
  return (JSON.parse(out) as { readonly messages: Message[] }).messages;
}

/** Waits until so many messages match. */
async function listedAll(count: number, ...more: string[]): Promise<Message[]> {
  const untilMs = Date.now() + 20_000;
  for (let found = await listed(...more); ; found = await listed(...more)) {
    if (found.length >= count || Date.now() > untilMs) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function sent(body: object): Promise<void> {
  await capture(["send", "orders", "-m", "-", "-c", config], { stdin: JSON.stringify(body) });
}

test("messages are listed, shown, traced over flows, resubmitted and exported; without a gateway the folder answers the same", async () => {
  await sent({ id: 4711 });
  await sent({ id: 13, bad: true });
  equal((await listedAll(1, "--flow", "bills")).length, 1);
  const [bad] = await listed("--status", "dead");
  deepEqual([bad?.flow, bad?.key], ["orders", "13"]);
  const table = await told("messages", "ls");
  equal(table.err, "", "the gateway answers, not the folder");
  match(table.out, /RECEIVED .*\n[\s\S]*dead +orders [\s\S]*NOT_GOOD: not good[\s\S]*3 messages/);
  const shown = await told("messages", "show", bad?.id ?? "");
  match(shown.out, /dead\nNOT_GOOD: not good[\s\S]*attempt 1 [\s\S]*log +info looking \{"id":13\}/);
  const whole = JSON.parse((await told("messages", "show", bad?.id ?? "", "--json")).out) as {
    attempts: { steps: { cpuMs: number; pages: number }[] }[];
  };
  const [step] = whole.attempts[0]?.steps ?? [];
  ok((step?.cpuMs ?? 0) > 0 && (step?.pages ?? 0) > 16, "the step says its CPU time, and the pages of 64 KiB that its machine had"); // the heap begins at 1 MiB

  const traced = await told("trace", "--key", "4711");
  match(traced.out, /orders +\S+ +received[\s\S]*bills[\s\S]*caused by orders \S+ \(send\)[\s\S]*end +done/);
  const byId = JSON.parse((await told("trace", "--id", (await listed("--flow", "bills"))[0]?.id ?? "", "--json")).out) as {
    messages: Message[];
  };
  deepEqual(
    byId.messages.map(({ flow }) => flow),
    ["orders", "bills"],
  );

  const again = await told("resubmit", bad?.id ?? "");
  deepEqual([again.code, /dead NOT_GOOD: not good/.test(again.out)], [1, true]);
  await writeFile(join(folder, "fixed.json"), '{"id":14}');
  const fixed = await told("resubmit", bad?.id ?? "", "--edit", join(folder, "fixed.json"), "--json");
  equal(fixed.code, 0, fixed.err);
  const [one] = (JSON.parse(fixed.out) as { resubmitted: { id: string; parent: object; outcome: { status: string } }[] }).resubmitted;
  deepEqual([one?.parent, one?.outcome.status], [{ how: "resubmit", flow: "orders", id: bad?.id }, "done"]);
  equal((await listedAll(2, "--flow", "bills")).length, 2);
  equal((await told("messages", "show", "none")).code, 2);

  const running = await listed();
  await serving.stop();
  const stopped = await told("messages", "ls", "--json");
  match(stopped.err, /no gateway runs: read from .*history/);
  deepEqual((JSON.parse(stopped.out) as { messages: Message[] }).messages, running);
  const lines = (await told("messages", "export", "--flow", "orders")).out.trim().split("\n");
  deepEqual(
    lines.map((line) => (JSON.parse(line) as { attempts: unknown[] }).attempts.length),
    [1, 1, 1, 1],
  );
  const nobody = await told("resubmit", bad?.id ?? "");
  match(nobody.err, /MF_GATEWAY_UNREACHABLE/);
});

test("a search that is malformed says what it may be", async () => {
  equal((await told("messages", "ls", "--since", "yesterday")).code, 2);
  equal((await told("messages", "ls", "--limit", "0")).code, 2);
  match((await told("trace")).err, /give one of --key, --correlation and --id/);
});
