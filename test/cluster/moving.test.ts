/** A journal from one computer's files into a cluster and back, by the commands, over a real server. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { capture } from "#cli";
import { openJournal } from "#gateway";
import { NatsServers } from "../../cluster/testing/nats-servers.ts";
import { installed } from "../../connectors/testing/brokers.ts";
import { comparable, exported, fill } from "../../gateway/journal/testing/filled-journal.ts";
import { ServedProcess } from "../served-process.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";

test("a journal moves into a cluster and back, and not while a node runs", { skip }, async () => {
  const servers = await NatsServers.start({ count: 1 });
  if (typeof servers === "string") throw new Error(servers);
  const folder = await mkdtemp(join(tmpdir(), "mayfly-moving-"));
  const at = (...names: string[]): string => join(folder, ...names);
  try {
    const home = openJournal(at("home"));
    await home.recover();
    await fill(home);
    await home.close();
    const nats = `nats://127.0.0.1:${servers.at(0).port}`;
    await mkdir(at("project"));
    await writeFile(at("project", "orders.ts"), 'import { flow } from "mayfly";\nexport default flow(() => "done");\n');
    await writeFile(
      at("project", "mayfly.yaml"),
      'cluster: { nats: "${NATS_URL}", name: moving, replicas: 1, partitions: 4 }\nflows: { other: { flow: orders.ts } }\n',
    );
    const journal = async (...values: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
      await capture(["journal", ...values, "-c", at("project", "mayfly.yaml")], { env: { NATS_URL: nats } });
    equal((await journal("export", "-d", at("home"), "-o", at("out.jsonl"))).code, 0);
    const imported = await journal("import", at("out.jsonl"), "--json");
    deepEqual(JSON.parse(imported.out), { pending: 7, outbox: 7, sleepers: 1, signals: 1, state: 1, dedup: 1 });
    match((await journal("import", at("out.jsonl"))).err, /^MF_JOURNAL_IMPORT: .*not empty/);

    const node = new ServedProcess(at("project"), { NATS_URL: nats, MAYFLY_NODE: "one" });
    await node.url();
    match((await journal("export")).err, /^MF_CLUSTER_RUNNING: .*\(one\)/);
    match((await journal("import", at("out.jsonl"))).err, /^MF_CLUSTER_RUNNING: /);
    await node.kill("SIGTERM");

    equal((await journal("export", "-o", at("back.jsonl"))).code, 0);
    equal((await journal("import", at("back.jsonl"), "-d", at("back"))).code, 0);
    deepEqual(comparable(await exported(at("back"))), comparable(await exported(at("home"))));
    deepEqual(comparable((await readFile(at("out.jsonl"), "utf8")).trim().split("\n")), comparable(await exported(at("home"))));
    match((await journal("import", at("nowhere"))).err, /^MF_FILE_UNREADABLE: /);
  } finally {
    await servers.remove();
    await rm(folder, { recursive: true, force: true });
  }
});
