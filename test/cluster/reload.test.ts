/**
 * Three NATS servers and three nodes, each with a mayfly.yaml of its own, under numbered messages: `mayfly cluster reload` swaps all nodes
 * or none, and no message is refused, lost or counted twice meanwhile.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { prng } from "#base";
import { capture } from "#cli";
import type { ClusterReload } from "#gateway";
import { seed } from "../../base/testing/seed.ts";
import { installed } from "../../connectors/testing/brokers.ts";
import { TestCluster, until } from "./cluster.ts";
import { configured, judge, keys, Sender, settled, statusOf } from "./probe.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";
const names = ["a", "b", "c"] as const;
const version = `import { flow } from "mayfly";
export default flow(() => "VERSION");
`;

test("all nodes swap to one revision under load, or none does", { skip, timeout: 240_000 }, async () => {
  const cluster = await TestCluster.open(3, 12, (sink) => {
    const { flows, files } = configured(sink);
    return {
      flows: { ...flows, version: { flow: "flows/version.ts", from: [{ http: { path: "/version", method: "GET", mode: "reply" } }] } },
      files: { ...files, "version.ts": version.replace("VERSION", "one") },
    };
  });
  if (typeof cluster === "string") throw new Error(cluster);
  let isGood = false;
  const fileOf = (name: string): string => join(cluster.folder, `${name}.yaml`);
  const edit = async (name: string, change: (text: string) => string): Promise<void> =>
    writeFile(fileOf(name), change(await readFile(fileOf(name), "utf8")));
  const reload = async (code: number): Promise<ClusterReload> => {
    const told = await capture(["cluster", "reload", "--json", "-c", `${cluster.folder}/mayfly.yaml`]);
    equal(told.code, code, told.out + told.err);
    return JSON.parse(told.out) as ClusterReload;
  };
  const versions = (): Promise<string[]> =>
    Promise.all(names.map(async (name) => (await fetch(`${cluster.node(name).url}/version`)).text()));
  const revisions = async (): Promise<(string | undefined)[]> => (await statusOf(cluster))?.nodes.map(({ revision }) => revision) ?? [];
  try {
    for (const name of names) await copyFile(join(cluster.folder, "mayfly.yaml"), fileOf(name));
    for (const name of names) (await cluster.add(name)).file = fileOf(name);
    await cluster.start(...names);
    await settled(cluster, 3);
    await until(async () => new Set(await revisions()).size === 1 && (await revisions())[0] !== undefined, "the nodes serve one revision");
    const [before] = await revisions();
    const senders = new Map(keys.map((key) => [key, new Sender(cluster, key, prng(seed))]));
    const running = [...senders.values()].map((sender) => sender.run());
    const progressed = async (): Promise<void> => {
      const from = new Map([...senders].map(([key, { acknowledged }]) => [key, acknowledged]));
      await until(() => [...senders].every(([key, { acknowledged }]) => acknowledged > (from.get(key) ?? 0) + 5), "every key goes on");
    };
    await progressed();

    // A flow and a setting change at all nodes.
    await writeFile(join(cluster.folder, "flows", "version.ts"), version.replace("VERSION", "two"));
    for (const name of names) await edit(name, (text) => text.replace('"timeout":"2s"', '"timeout":"3s"'));
    deepEqual(await versions(), ["one", "one", "one"]);
    const swapped = await reload(0);
    deepEqual([swapped.result, swapped.nodes.map(({ state }) => state)], ["committed", ["swapped", "swapped", "swapped"]]);
    deepEqual(await versions(), ["two", "two", "two"]);
    await until(async () => (await revisions()).every((each) => each === swapped.revision), "status shows the new revision");
    ok(before !== swapped.revision);
    await progressed();

    // One node's file is broken, then another than the others': none swaps.
    await writeFile(join(cluster.folder, "flows", "version.ts"), version.replace("VERSION", "three"));
    const good = await readFile(fileOf("b"), "utf8");
    await writeFile(fileOf("b"), `${good.slice(0, -1)}, "nonsense": 1}`);
    const broken = await reload(1);
    deepEqual(
      [broken.result, broken.code, broken.nodes.map(({ state }) => state)],
      ["refused", "MF_CLUSTER_RELOAD_REFUSED", ["prepared", "refused", "prepared"]],
    );
    match(broken.nodes[1]?.message ?? "", /nonsense/);
    await writeFile(fileOf("b"), good.replace('"timeout":"3s"', '"timeout":"4s"'));
    equal((await reload(1)).code, "MF_CLUSTER_RELOAD_DIFFERS");
    deepEqual(await versions(), ["two", "two", "two"]);
    ok((await revisions()).every((each) => each === swapped.revision));
    await progressed();

    // SIGHUP is one node's own, and said so.
    cluster.node("b").send("SIGHUP");
    await until(async () => (await versions()).join() === "two,three,two", "b alone has reloaded");
    await until(async () => new Set(await revisions()).size === 2, "status shows the difference");
    match((await capture(["cluster", "status", "-c", `${cluster.folder}/mayfly.yaml`])).out, /MF_CLUSTER_REVISION/);
    await writeFile(fileOf("b"), good);
    equal((await reload(0)).result, "committed");
    deepEqual(await versions(), ["three", "three", "three"]);
    await progressed();
    const ticks = (): number => new Set(cluster.arrived.flatMap(({ body: { tick } }) => tick ?? [])).size;
    await until(() => ticks() > 5, "cron has run as often as the judge wants it");

    for (const sender of senders.values()) sender.stopped = true;
    await Promise.all(running);
    const arrived = (key: string): number => cluster.arrived.filter(({ body }) => body["key"] === key).length;
    await until(() => [...senders].every(([key, { acknowledged }]) => arrived(key) >= acknowledged), "all has arrived");
    deepEqual(
      [...judge(cluster, senders), ...[...senders.values()].flatMap(({ faults, refusals }) => [...faults, ...refusals.keys()])],
      [],
    );
    isGood = true;
  } finally {
    if (!isGood) console.error(`the logs are in ${cluster.folder}; ${JSON.stringify(await statusOf(cluster))}`);
    await cluster.close(!isGood);
  }
});
