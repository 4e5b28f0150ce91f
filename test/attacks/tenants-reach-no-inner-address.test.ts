/** Functions of tenants reach no address inside of the gateway's network: by whatever name, redirect or answer of a name server. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import dns from "node:dns";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { type Platform, withPlatform } from "../../gateway/functions/testing/platform.ts";
import { done, fail, request, type Script } from "../../gateway/testing/scripted.ts";

const key = "acme-key-0123456789abcdef";

/** Answers to a name, one after the other; the last one stays. */
const names = new Map<string, string[][]>();
const lookup = dns.lookup;
/** Stands for the name server: lets names under `.test` be at the addresses of `names`. */
dns.lookup = ((host: string, options: dns.LookupOptions, callback: (error: Error | null, found: unknown, family?: number) => void) => {
  const answers = names.get(host);
  if (answers === undefined) return lookup(host, options as dns.LookupAllOptions, callback as never);
  const [now = []] = answers.length > 1 ? answers.splice(0, 1) : answers;
  const found = now.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  if (options.all === true) callback(null, found);
  else callback(null, found[0]?.address, found[0]?.family);
}) as typeof dns.lookup;
syncBuiltinESMExports();

interface Peer {
  readonly port: number;
  seen: number;
  answer: (request: IncomingMessage, response: ServerResponse) => void;
}

async function withPeers(run: (inner: Peer, allowed: Peer) => Promise<void>): Promise<void> {
  const servers: Server[] = [];
  const listen = async (host: string, port: number): Promise<Peer> => {
    const peer = { port: 0, seen: 0, answer: (_request: IncomingMessage, response: ServerResponse) => void response.end(`from ${host}`) };
    const server = createServer((asked, response) => {
      peer.seen += 1;
      peer.answer(asked, response);
    });
    servers.push(server);
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
    return Object.assign(peer, { port: (server.address() as AddressInfo).port });
  };
  try {
    const inner = await listen("127.0.0.1", 0);
    await run(inner, await listen("127.0.0.2", inner.port)); // one URL leads to both
  } finally {
    for (const server of servers) server.close().closeAllConnections();
  }
}

/** Fetches its body, or asks its outlet where the body is empty, and replies with what came of it. */
const asks: Script = (event) => {
  if (event.kind === "deliver") {
    const url = Buffer.from(event.body).toString();
    return [url === "" ? { ...request(1, "erp"), method: "GET" } : { ...request(1, url, "", "fetch"), method: "GET" }];
  }
  if (event.kind !== "resolve") return [fail("MF_TEST")];
  return [done(event.error?.code ?? Buffer.from(event.body).toString())];
};

async function withFunctions(networks: string, run: (platform: Platform, inner: Peer, allowed: Peer) => Promise<void>): Promise<void> {
  await withPeers(async (inner, allowed) => {
    const { port } = inner;
    const hosts = ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:7f00:1]", "*.test"].map((host) => `"${host}:${port}"`);
    const tenants = `tenants:\n  acme:\n    keys: { ci: { key: ${key}, scopes: [deploy, read] } }\n    hosts: [${hosts.join(", ")}]\n${networks}`;
    await withPlatform({ asks }, (platform) => run(platform, inner, allowed), { tenants });
  });
}

async function deploy(platform: Platform, name: string, fragment: string): Promise<void> {
  const { status, value } = await platform.deploy(name, { script: "asks" }, { key, fragment });
  equal(status, 201, JSON.stringify(value));
}

test("fetch reaches no inner address: literal, by name, among others, rebound, by a redirect", async () => {
  await withFunctions("    networks: [127.0.0.2]\n", async (platform, inner, allowed) => {
    const { port } = inner;
    const hosts = ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "*.test"].map((host) => `"${host}:${port}"`);
    await deploy(platform, "asks", `hosts: [${hosts.join(", ")}]`);
    const fetched = async (host: string): Promise<string> => (await platform.call("/acme/asks", `http://${host}:${port}/`)).text;
    names.set("inner.test", [["127.0.0.1"]]);
    names.set("metadata.test", [["169.254.169.254"]]);
    names.set("six.test", [["::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"]]);
    names.set("allowed.test", [["127.0.0.2"]]);
    names.set("both.test", [["127.0.0.1", "127.0.0.2"]]);
    for (const host of ["127.0.0.1", "localhost", "[::1]", "inner.test", "metadata.test", "six.test"])
      equal(await fetched(host), "MF_ADDRESS_REFUSED", host);
    deepEqual([await fetched("allowed.test"), await fetched("both.test"), await fetched("127.0.0.2")], Array(3).fill("from 127.0.0.2"));

    // A connection is used again, so each request asks for another name: no second lookup follows the one that was judged.
    for (const turn of [1, 2, 3, 4]) {
      names.set(`rebound${turn}.test`, [["127.0.0.2"], ["127.0.0.1"]]);
      equal(await fetched(`rebound${turn}.test`), "from 127.0.0.2");
    }
    names.set("turned.test", [["127.0.0.1"], ["127.0.0.2"]]);
    equal(await fetched("turned.test"), "MF_ADDRESS_REFUSED");

    for (const target of [`http://127.0.0.1:${port}/`, `http://inner.test:${port}/`, `//localhost:${port}/`, `http://[::1]:${port}/`]) {
      allowed.answer = (_request, response) => void response.writeHead(307, { location: target }).end();
      equal(await fetched("allowed.test"), "MF_ADDRESS_REFUSED", target);
    }
    equal(inner.seen, 0);
    ok(allowed.seen > 0);
  });
});

test("outlets, the servers of their tokens and issuers of callers' tokens are reached at public addresses only", async () => {
  await withFunctions("    networks: [127.0.0.2]\n", async (platform, inner, allowed) => {
    const { port } = inner;
    names.set("inner.test", [["127.0.0.1"]]);
    names.set("issuer.test", [["127.0.0.2"]]);
    await deploy(platform, "plain", `to: { erp: { http: { url: "http://inner.test:${port}/" } } }`);
    equal((await platform.call("/acme/plain")).text, "MF_ADDRESS_REFUSED");
    const oauth2 = `oauth2: { tokenUrl: "http://inner.test:${port}/token", clientId: a, clientSecret: b }`;
    await deploy(platform, "token", `to: { erp: { http: { url: "http://127.0.0.2:${port}/", auth: { ${oauth2} } } } }`);
    equal((await platform.call("/acme/token")).text, "MF_OAUTH2_TOKEN");
    await deploy(platform, "good", `to: { erp: { http: { url: "http://127.0.0.2:${port}/" } } }`);
    equal((await platform.call("/acme/good")).text, "from 127.0.0.2");

    // The issuer is at an address that is allowed, and says that its keys are inside.
    const issuer = `http://issuer.test:${port}`;
    allowed.answer = (_request, response) => void response.end(JSON.stringify({ issuer, jwks_uri: `http://127.0.0.1:${port}/keys` }));
    const before = allowed.seen;
    const oidc = `oidc: { issuer: "${issuer}", audience: orders }`;
    await deploy(platform, "callers", `from: [{ http: { path: /acme/callers, auth: { ${oidc} } } }]`);
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const token = `${part({ alg: "RS256", kid: "a" })}.${part({ iss: issuer, aud: "orders", exp: 9_999_999_999 })}.AAAA`;
    const answer = await fetch(`${platform.rig.url}/acme/callers`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    match(await answer.text(), /MF_JWKS_UNAVAILABLE/);
    ok(allowed.seen > before, "the issuer was asked");
    equal(inner.seen, 0);
  });
});

test("a tenant without networks reaches none, and one of any network reaches all; a change of the file counts at once", async () => {
  await withFunctions("", async (platform, inner, allowed) => {
    const { port } = inner;
    await deploy(platform, "asks", `hosts: ["127.0.0.1:${port}", "127.0.0.2:${port}"]`);
    const fetched = async (host: string): Promise<string> => (await platform.call("/acme/asks", `http://${host}:${port}/`)).text;
    deepEqual([await fetched("127.0.0.1"), await fetched("127.0.0.2")], ["MF_ADDRESS_REFUSED", "MF_ADDRESS_REFUSED"]);
    deepEqual([inner.seen, allowed.seen], [0, 0]);
    await platform.changeTenants((text) => `${text}    networks: [any]\n`);
    equal(await fetched("127.0.0.1"), "from 127.0.0.1");
    await platform.changeTenants((text) => text.replace("networks: [any]", "networks: [127.0.0.2]"));
    deepEqual([await fetched("127.0.0.1"), await fetched("127.0.0.2")], ["MF_ADDRESS_REFUSED", "from 127.0.0.2"]);
  });
});

test("fetch.networks holds flows of mayfly.yaml as well", async () => {
  await withPeers(async (inner) => {
    const yaml = `fetch: { networks: [127.0.0.2] }\nflows: { asks: { flow: asks.ts, from: [{ http: { path: /own } }], hosts: ["127.0.0.1:${inner.port}", "127.0.0.2:${inner.port}"] } }`;
    await withPlatform(
      { asks },
      async (platform) => {
        const fetched = async (host: string): Promise<string> => (await platform.call("/own", `http://${host}:${inner.port}/`)).text;
        deepEqual([await fetched("127.0.0.1"), await fetched("127.0.0.2")], ["MF_ADDRESS_REFUSED", "from 127.0.0.2"]);
        equal(inner.seen, 0);
      },
      { yaml },
    );
  });
});
