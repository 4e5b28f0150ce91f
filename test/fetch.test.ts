/** fetch in a served flow, against a real server: redirects and failures as the standard has them. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve } from "#cli";
import { silentLogger } from "#gateway";
import { makeCertificates } from "../connectors/testing/certificates.ts";

const flow = `import { flow } from "mayfly";
export default flow(async (msg, { fetch }) => {
  const { url, init } = msg.json<{ url: string; init?: object }>();
  try {
    const response = await fetch(url, init);
    return { status: response.status, url: response.url, redirected: response.redirected, type: response.type,
      own: [...response.headers.keys()].filter((name) => name.startsWith("mayfly-")), json: JSON.stringify(response), body: await response.text() };
  } catch (error) {
    const { name, message, cause } = error as Error;
    return { error: name, message, cause: (cause as { code?: string } | undefined)?.code };
  }
});`;
const careless = `import { flow } from "mayfly";
export default flow(async (msg, { fetch }) => (await fetch(msg.text())).text());`;

let folder: string;
let serving: Awaited<ReturnType<typeof serve>>;
let base: string;
/** Requests that were cut off. */
let cut = 0;
const peer = createServer((request, response) => {
  const path = request.url ?? "";
  const count = Number(/^\/loop\/(\d+)$/.exec(path)?.[1] ?? 0);
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    if (path === "/cut") {
      cut += 1;
      request.socket.destroy();
    } else if (path.startsWith("/to/")) response.writeHead(Number(path.slice(4)), { location: "/end#part" }).end("moved");
    else if (count > 0) response.writeHead(302, { location: count === 1 ? "/end" : `/loop/${count - 1}` }).end();
    else {
      const seen = ["content-type", "mayfly-fetch-redirect"].map((name) => request.headers[name] ?? null);
      response.end(JSON.stringify([request.method, body, ...seen]));
    }
  });
});

before(async () => {
  await once(peer.listen(0, "127.0.0.1"), "listening");
  base = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  folder = await mkdtemp(join(tmpdir(), "mayfly-fetch-"));
  await writeFile(join(folder, "asks.ts"), flow);
  await writeFile(join(folder, "careless.ts"), careless);
  const hosts = `hosts: ["${base.slice(7)}"]`;
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  asks: { flow: asks.ts, from: [{ http: { path: / } }], ${hosts} }
  careless: { flow: careless.ts, from: [{ http: { path: /careless, mode: accept } }], ${hosts}, retry: { attempts: 3, backoff: 1ms..2ms } }
http: { port: 0 }
journal: { memory: true }
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), logger: silentLogger });
});
after(async () => {
  await serving.stop();
  peer.closeAllConnections();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

async function asks(path: string, init?: object): Promise<unknown> {
  const body = JSON.stringify({ url: base + path, init });
  return await (await fetch(serving.url, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
}

const failed = (cause: string): object => ({ error: "TypeError", message: "fetch failed", cause });

const common = { own: [], json: "{}" };

test("redirects are followed, told, refused or left alone, as the request says", async () => {
  const end = (method: string, body = "", type: string | null = null): object => ({
    ...common,
    status: 200,
    url: `${base}/end`,
    redirected: true,
    type: "basic",
    body: JSON.stringify([method, body, type, null]),
  });
  deepEqual(await asks("/to/302"), end("GET"));
  const post = { method: "POST", body: "x" };
  deepEqual(await asks("/to/301", post), end("GET"));
  deepEqual(await asks("/to/303", post), end("GET"));
  deepEqual(await asks("/to/307", post), end("POST", "x", "text/plain;charset=UTF-8"));
  deepEqual(await asks("/loop/20"), end("GET"));
  deepEqual(await asks("/loop/21"), failed("MF_TOO_MANY_REDIRECTS"));
  deepEqual(await asks("/to/302", { redirect: "error" }), failed("MF_FETCH_REDIRECTED"));
  deepEqual(await asks("/to/302", { redirect: "manual" }), {
    ...common,
    status: 302,
    url: `${base}/to/302`,
    redirected: false,
    type: "opaqueredirect",
    body: "moved",
  });
  deepEqual(await asks("/end"), { ...(end("GET") as object), redirected: false });
});

test("a peer that cuts the connection is not taken for an error of the program: the message is tried again", {
  timeout: 60_000,
}, async () => {
  deepEqual(await asks("/cut"), failed("MF_FETCH_FAILED"));
  cut = 0;
  await fetch(`${serving.url}/careless`, { method: "POST", headers: { "content-type": "text/plain" }, body: `${base}/cut` });
  let metrics = "";
  while (!/mayfly_flow_dead_total\{flow="careless"\} 1/.test(metrics)) metrics = await (await fetch(`${serving.url}/metrics`)).text();
  equal(cut, 3);
});

test("flows fetch through a proxy, and trust the authorities of mayfly.yaml", {
  skip: spawnSync("openssl", ["version"]).status === 0 ? false : "no openssl",
}, async (test_) => {
  const { dir } = await makeCertificates();
  const [cert, key] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(dir, name))));
  const secure = createTlsServer({ cert, key }, (_request, response) => response.end("safe"));
  const tunnels: string[] = [];
  const proxy = createServer();
  proxy.on("connect", (request, socket) => {
    tunnels.push(request.url ?? "");
    const { hostname, port } = new URL(`http://${request.url}`);
    const server = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(server).pipe(socket);
    });
    for (const each of [server, socket]) each.on("error", () => [server, socket].forEach((one) => one.destroy()));
  });
  for (const each of [secure, proxy]) await once(each.listen(0, "127.0.0.1"), "listening");
  const [safe, way] = [secure, proxy].map((each) => `127.0.0.1:${(each.address() as AddressInfo).port}`);
  test_.after(async () => {
    for (const each of [secure, proxy]) {
      each.closeAllConnections();
      each.close();
    }
    await rm(dir, { recursive: true });
  });
  const asked = async (settings: string): Promise<unknown> => {
    const file = join(folder, "proxied.yaml");
    await writeFile(
      file,
      `flows: { asks: { flow: asks.ts, from: [{ http: { path: / } }], hosts: ["${safe}"] } }\nhttp: { port: 0 }\njournal: { memory: true }\n${settings}`,
    );
    const served = await serve({ file, logger: silentLogger });
    const response = await fetch(served.url, { method: "POST", body: JSON.stringify({ url: `https://${safe}/` }) });
    const { status, body, cause } = (await response.json()) as Record<string, unknown>;
    await served.stop();
    return [status, body, cause];
  };
  const ca = JSON.stringify(join(dir, "ca.pem"));
  deepEqual(await asked(""), [undefined, undefined, "MF_FETCH_FAILED"]);
  deepEqual([await asked(`fetch: { ca: ${ca} }`), tunnels], [[200, "safe", undefined], []]);
  deepEqual([await asked(`fetch: { ca: ${ca}, proxy: "http://${way}" }`), tunnels], [[200, "safe", undefined], [safe]]);
  await rejects(asked("fetch: { ca: none.pem }"), { code: "MF_TLS_FILE" });
});
