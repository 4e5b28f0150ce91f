/** Findings of `mayfly cluster check` at servers of several kinds. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { ClusterConfig } from "#gateway";
import { freePort } from "../base/testing/free-port.ts";
import { PrivateBroker } from "../connectors/testing/brokers.ts";
import { checkCluster, type ClusterCheck } from "./checks.ts";
import { NatsServers } from "./testing/nats-servers.ts";

function config(nats: string, change: Partial<ClusterConfig> = {}): ClusterConfig {
  const login = { username: undefined, password: undefined, token: undefined, credentials: undefined, nkey: undefined, tls: undefined };
  return { nats, name: "prod", replicas: 1, partitions: 8, node: "a", ...login, ...change };
}

function codes({ findings }: ClusterCheck, level: string): string[] {
  return findings.filter((finding) => finding.level === level).map(({ code }) => code);
}

test("one server: works, with warnings of what its loss costs; three replicas are too many for it", async (t) => {
  const servers = await NatsServers.start({ count: 1 });
  if (typeof servers === "string") return t.skip(servers);
  try {
    const checked = await checkCluster(config(servers.url));
    equal(checked.ok, true, JSON.stringify(checked));
    match(checked.servers[0]?.version ?? "", /^2\./);
    ok(codes(checked, "warn").includes("MF_CLUSTER_SYNC"));
    ok(codes(checked, "warn").includes("MF_CLUSTER_REPLICAS"));
    const three = await checkCluster(config(servers.url, { replicas: 3 }));
    equal(three.ok, false);
    deepEqual(codes(three, "error"), ["MF_CLUSTER_REPLICAS"]);
    match(three.findings.find(({ level }) => level === "error")?.message ?? "", /can't keep 3 copies/);
  } finally {
    await servers.remove();
  }
});

test("three servers keep three copies; one that is away is a warning, two an error", async (t) => {
  const servers = await NatsServers.start({ count: 3 });
  if (typeof servers === "string") return t.skip(servers);
  try {
    const checked = await checkCluster(config(servers.url, { replicas: 3 }));
    deepEqual(codes(checked, "error"), []);
    equal(checked.servers.length, 3);
    await servers.kill(0);
    const without = await checkCluster(config(servers.url));
    ok(codes(without, "warn").includes("MF_CLUSTER_UNREACHABLE"));
    equal(without.servers.length, 2);
    await servers.kill(1);
    equal((await checkCluster(config(servers.url))).ok, false);
  } finally {
    await servers.remove();
  }
});

async function withServer(text: string, use: (nats: string) => Promise<void>): Promise<string | undefined> {
  const servers = await NatsServers.start({ count: 1 });
  if (typeof servers === "string") return servers;
  await servers.remove();
  const broker = await PrivateBroker.start(
    (dir) => ["nats-server", "-c", join(dir, "nats.conf")],
    (dir, port) => writeFile(join(dir, "nats.conf"), `listen: "127.0.0.1:${port}"\n${text.replace("STORE", dir)}\n`),
  );
  try {
    await use(`nats://127.0.0.1:${broker.port}`);
    return undefined;
  } finally {
    await broker.remove();
  }
}

test("a server without JetStream, one of short messages, one whose account is too small", async (t) => {
  const reason = await withServer("", async (nats) => {
    const checked = await checkCluster(config(nats));
    deepEqual(codes(checked, "error"), ["MF_CLUSTER_JETSTREAM"]);
  });
  if (reason !== undefined) return t.skip(reason);
  await withServer('jetstream { store_dir: "STORE" }\nmax_payload: 32768', async (nats) => {
    ok(codes(await checkCluster(config(nats)), "error").includes("MF_CLUSTER_PAYLOAD"));
  });
  const account = "accounts { A { jetstream { max_streams: 5 }, users: [{ user: u, password: p }] } }";
  await withServer(`jetstream { store_dir: "STORE" }\n${account}`, async (nats) => {
    const checked = await checkCluster(config(nats, { username: "u", password: "p" }));
    deepEqual(codes(checked, "error"), ["MF_CLUSTER_LIMITS"]);
    const twice = await checkCluster(config(`${nats.replace("//", "//u:p@")},${nats}`));
    equal(twice.servers.length, 2, "the login of the first address is that of all");
  });
});

test("without any server the finding says so", async () => {
  const checked = await checkCluster(config(`nats://127.0.0.1:${await freePort()}`));
  deepEqual(
    { ok: checked.ok, servers: checked.servers, codes: codes(checked, "error") },
    { ok: false, servers: [], codes: ["MF_CLUSTER_UNREACHABLE"] },
  );
});
