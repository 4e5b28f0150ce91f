import { equal, match, ok } from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { isCoded } from "#base";
import type { ClusterConfig } from "#gateway";
import { freePort } from "../base/testing/free-port.ts";
import { installed } from "../connectors/testing/brokers.ts";
import { makeCertificates } from "../connectors/testing/certificates.ts";
import { natsServer, started } from "../connectors/testing/servers.ts";
import { strictServer } from "../connectors/testing/strict-nats.ts";
import { connectCluster } from "./connection.ts";
import { nodeName } from "./node-name.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";

function configOf(nats: string, more: Partial<ClusterConfig> = {}): ClusterConfig {
  const none = { username: undefined, password: undefined, token: undefined, credentials: undefined, nkey: undefined, tls: undefined };
  return { nats, name: "test", replicas: 1, partitions: 4, node: undefined, ...none, ...more };
}

/** The code and text of the error that connecting ends with, or "connected". */
async function result(config: ClusterConfig): Promise<readonly [code: string, text: string]> {
  try {
    const connection = await connectCluster(config, { name: "test", mostMs: 3_000 });
    await connection.close();
    return ["connected", ""];
  } catch (error) {
    ok(isCoded(error));
    return [error.code, error.message];
  }
}

test("no server: the error names the addresses, and no password", async () => {
  const port = await freePort();
  const [code, text] = await result(configOf(`nats://u:secret@127.0.0.1:${port}`));
  equal(code, "MF_CLUSTER_UNREACHABLE");
  match(text, new RegExp(`127.0.0.1:${port}`));
  equal(text.includes("secret"), false);
});

test("a login in the address, or beside it, is used; a wrong one is told as such", { skip }, async () => {
  const server = await strictServer();
  try {
    const at = `127.0.0.1:${server.port}`;
    equal((await result(configOf(`nats://admin:p@${at}`)))[0], "connected");
    equal((await result(configOf(`nats://${at}`, { username: "admin", password: "p" })))[0], "connected");
    equal((await result(configOf(`nats://admin:wrong@${at}`)))[0], "MF_CLUSTER_AUTH");
  } finally {
    await server.remove();
  }
});

test("TLS with an authority and a certificate of our own; without them the error says what to set", { skip }, async () => {
  const { dir } = await makeCertificates();
  const file = (name: string): string => join(dir, name);
  const own = ["--tlscert", file("server.pem"), "--tlskey", file("server.key"), "--tlscacert", file("ca.pem")];
  const server = await started(natsServer("--tlsverify", ...own));
  try {
    const tls = { ca: file("ca.pem"), cert: file("client.pem"), key: file("client.key") };
    equal((await result(configOf(`tls://localhost:${server.port}`, { tls })))[0], "connected");
    const [code, text] = await result(configOf(`tls://localhost:${server.port}`));
    equal(code, "MF_CLUSTER_TLS");
    match(text, /check cluster\.tls/);
  } finally {
    await server.remove();
    await rm(dir, { recursive: true });
  }
});

test("files that can't be read are named by their setting", async () => {
  const [code, text] = await result(configOf("nats://127.0.0.1:1", { credentials: "/nowhere/at-all.creds" }));
  equal(code, "MF_CLUSTER_CREDENTIALS");
  match(text, /cluster\.credentials/);
  equal(text.includes("nowhere"), false);
});

test("a node's name is a token of a subject", () => {
  equal(nodeName({ node: "n-1" }, { MAYFLY_NODE: "other" }), "n-1");
  equal(nodeName({ node: undefined }, { MAYFLY_NODE: "pod-7.shop.svc" }), "pod-7-shop-svc");
  match(nodeName({ node: undefined }, {}), /^[A-Za-z0-9_-]{1,64}$/);
});
