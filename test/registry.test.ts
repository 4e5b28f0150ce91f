/** Images of flows to a registry and back: a real one (Debian's docker-registry), and one that lies. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "#cli";
import { PrivateBroker } from "../connectors/testing/brokers.ts";
import { missing } from "../connectors/testing/servers.ts";
import { ServedProcess } from "./served-process.ts";

const skip = missing("docker-registry") ?? false;
const login = { user: "ada", password: "secret of tests" };
/** bcrypt of the password. */
const htpasswd = "ada:$2b$04$F.3oqKH2O/cFzcg8rlJvpuGfsrmq9eiUDW8jAqI1m63HPie7OtcFS\n";

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-registry-"));
  await mkdir(at("flows"));
  for (const name of ["orders", "Billing"])
    await writeFile(at("flows", `${name}.ts`), `import { flow } from "mayfly";\nexport default flow((msg) => "${name} " + msg.text());\n`);
  await writeFile(
    at("mayfly.yaml"),
    'flows:\n  orders: { flow: flows/orders.ts, to: { erp: { http: { url: "${ERP_URL}" } } } }\n  Billing: { flow: flows/Billing.ts }\n',
  );
  const keys = {
    ec: generateKeyPairSync("ec", { namedCurve: "P-256" }),
    ed: generateKeyPairSync("ed25519"),
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  };
  for (const [name, { privateKey, publicKey }] of Object.entries<{ privateKey: KeyObject; publicKey: KeyObject }>(keys)) {
    await writeFile(at(`${name}.key`), privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(at(`${name}.pub`), publicKey.export({ type: "spki", format: "pem" }));
  }
});
after(() => rm(folder, { recursive: true, force: true }));

function registry(...lines: readonly string[]): Promise<PrivateBroker> {
  return PrivateBroker.start(
    (dir) => ["docker-registry", "serve", join(dir, "config.yml")],
    async (dir, port) => {
      await writeFile(join(dir, "htpasswd"), htpasswd);
      const storage = `storage: { filesystem: { rootdirectory: ${join(dir, "data")} } }`;
      const text = [
        "version: 0.1",
        storage,
        `http: { addr: "127.0.0.1:${port}" }`,
        ...lines.map((line) => line.replaceAll("DIR", dir)),
        "",
      ];
      await writeFile(join(dir, "config.yml"), text.join("\n"));
    },
  );
}

interface Ran {
  readonly code: number;
  readonly json: Readonly<Record<string, unknown>> & { readonly error?: { readonly code: string; readonly message: string } };
}

async function mayfly(values: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const { code, out } = await capture([...values, "--json"], { env: { HOME: folder, ...env } });
  return { code, json: JSON.parse(out) as Ran["json"] };
}

const pull = (reference: string, ...more: readonly string[]): Promise<Ran> =>
  mayfly(["pull", reference, "-c", at("puller", "mayfly.yaml"), ...more]);

test("a project's flows go into a layout and a registry, signed, and come back only for those who trust the key", { skip }, async (t) => {
  const server = await registry();
  t.after(() => server.remove());
  const host = `127.0.0.1:${server.port}`;
  const built = await mayfly(["build", "--oci", at("out"), "-c", at("mayfly.yaml")]);
  const artefacts = built.json["artefacts"] as { flow: string; digest: string; sha256: string }[];
  deepEqual(
    artefacts.map(({ flow }) => flow),
    ["orders", "Billing"],
  );
  const pushed = await mayfly(["push", at("out"), `${host}/shop:1.4`, "--sign", at("ec.key")]);
  const [billing, orders] = pushed.json["pushed"] as { reference: string; digest: string; sentBytes: number; signed: boolean }[];
  deepEqual([pushed.code, orders?.signed, orders?.digest], [0, true, artefacts[0]?.digest]);
  equal(billing?.reference, `${host}/shop/billing:1.4@${artefacts[1]?.digest}`);
  const again = await mayfly(["push", at("out"), `${host}/shop:1.5`]);
  ok(
    (again.json["pushed"] as { sentBytes: number }[]).every(({ sentBytes }) => sentBytes < 10_000),
    "blobs that are there are not sent",
  );

  const name = `${host}/shop/orders:1.4`;
  const known = await pull(name, "--trust", at("ed.pub"), at("ec.pub"));
  deepEqual([known.code, known.json["sha256"], known.json["signedBy"]], [0, artefacts[0]?.sha256, at("ec.pub")]);
  equal((await pull(name, "--trust", at("ed.pub"))).json.error?.code, "MF_IMAGE_UNTRUSTED");
  equal((await pull(`${host}/shop/orders:1.5`, "--trust", at("ec.pub"))).code, 0, "a signature is of the digest, whatever the tag");
  for (const key of ["ed", "rsa"]) {
    equal((await mayfly(["push", at("out"), `${host}/shop:1.4`, "--sign", at(`${key}.key`)])).code, 0);
    equal((await pull(name, "--trust", at(`${key}.pub`))).json["signedBy"], at(`${key}.pub`));
  }
  equal((await pull(name, "--trust", at("ec.pub"))).code, 0, "further signatures stand beside the first");
  equal((await pull(`${host}/shop/orders@${artefacts[0]?.digest}`)).code, 0);
  equal((await pull(`${host}/shop/none:1`)).json.error?.code, "MF_ARTEFACT_MISSING");
  equal((await pull(`${host}/shop/none:1`, "--trust", at("ec.key"))).json.error?.code, "MF_IMAGE_KEY");
  const file = await pull(name, "-o", at("orders.mfi"));
  const ran = await capture(["run", String(file.json["file"]), "-m", "-", "--json"], { stdin: "7" });
  equal((JSON.parse(ran.out) as { reply: { body: string } }).reply.body, "orders 7");
  equal((await mayfly(["push", at("orders.mfi"), `${host}/orders:2`])).code, 0);
});

test("a gateway serves an image of the registry, trusts only what is signed, and starts while the registry is away", {
  skip,
}, async (t) => {
  const server = await registry();
  t.after(() => server.remove());
  const host = `127.0.0.1:${server.port}`;
  const project = at("served");
  await mkdir(project);
  const name = `${host}/shop/orders:1`;
  equal((await mayfly(["push", at("flows", "orders.ts"), name])).code, 0);
  await writeFile(
    join(project, "mayfly.yaml"),
    `images: { trust: [../ec.pub] }\njournal: { memory: true }\nflows:\n  orders: { image: "oci://${name}", from: [ { http: { method: POST, path: / } } ] }\n`,
  );
  const serve = async (): Promise<ServedProcess> => new ServedProcess(project, {});
  const unsigned = await serve();
  await unsigned.ended;
  match(unsigned.said, /MF_IMAGE_UNTRUSTED/);
  equal((await mayfly(["push", at("flows", "orders.ts"), name, "--sign", at("ec.key")])).code, 0);
  const ask = async (served: ServedProcess): Promise<string> => (await fetch(await served.url(), { method: "POST", body: "7" })).text();
  const signed = await serve();
  equal(await ask(signed), "orders 7");
  await signed.kill("SIGTERM");
  await server.down();
  const alone = await serve();
  equal(await ask(alone), "orders 7");
  match(alone.said, /served as it was pulled before/);
  await alone.kill("SIGTERM");
  await writeFile(join(project, "mayfly.yaml"), (await readFile(join(project, "mayfly.yaml"), "utf8")).replace("ec.pub", "ed.pub"));
  const distrusted = await serve();
  await distrusted.ended;
  match(distrusted.said, /MF_REGISTRY_UNREACHABLE/, "what another key was trusted for is not served");
});

test("a registry that wants a name and a password gets them, as docker login has left them", { skip }, async (t) => {
  const server = await registry("auth: { htpasswd: { realm: tests, path: DIR/htpasswd } }");
  t.after(() => server.remove());
  const host = `127.0.0.1:${server.port}`;
  const push = (env: Readonly<Record<string, string>>): Promise<Ran> => mayfly(["push", at("flows", "orders.ts"), `${host}/orders:1`], env);
  const denied = await push({});
  equal(denied.json.error?.code, "MF_REGISTRY_DENIED");
  match(denied.json.error?.message ?? "", /docker login/);
  equal((await push({ MAYFLY_REGISTRY_USER: login.user, MAYFLY_REGISTRY_PASSWORD: "another" })).json.error?.code, "MF_REGISTRY_DENIED");
  equal((await push({ MAYFLY_REGISTRY_USER: login.user, MAYFLY_REGISTRY_PASSWORD: login.password })).code, 0);
  await mkdir(at("docker"));
  const auth = Buffer.from(`${login.user}:${login.password}`).toString("base64");
  await writeFile(at("docker", "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
  equal((await push({ DOCKER_CONFIG: at("docker") })).code, 0);
  await writeFile(at("docker", "config.json"), JSON.stringify({ credHelpers: { [host]: "not-there" } }));
  equal((await push({ DOCKER_CONFIG: at("docker") })).json.error?.code, "MF_REGISTRY_CREDENTIALS");
});

/** A registry that answers as `answer` says. */
async function liar(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly host: string; readonly server: Server }> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

test("a registry that lies is refused", async (t) => {
  equal((await mayfly(["build", "--oci", at("true"), at("flows", "orders.ts")])).code, 0);
  const index = JSON.parse(await readFile(at("true", "index.json"), "utf8")) as { manifests: [{ digest: string }] };
  const blob = async (digest: string): Promise<Buffer> => await readFile(at("true", "blobs", "sha256", digest.slice(7)));
  const { digest } = index.manifests[0];
  const manifest = await blob(digest);
  const layer = (JSON.parse(manifest.toString()) as { layers: [{ digest: string; size: number }] }).layers[0];
  const image = await blob(layer.digest);
  const changed = Buffer.from(image);
  changed[9_000] = (changed[9_000] as number) ^ 1;
  let gives: { manifest: Buffer; image: Buffer } = { manifest, image };
  let asked = "";
  const { host, server } = await liar((request, response) => {
    asked += `${request.method} ${request.url} ${request.headers.authorization ?? ""}\n`;
    if (request.url?.includes("/manifests/") === true) response.end(gives.manifest);
    else response.end(gives.image);
  });
  t.after(() => server.close());
  const codeOf = async (name: string, given: Partial<typeof gives>): Promise<string | undefined> => {
    gives = { manifest, image, ...given };
    return (await pull(`${host}/${name}`)).json.error?.code;
  };
  equal(await codeOf("a:1", {}), undefined);
  equal(await codeOf(`a@${digest}`, {}), undefined);
  equal(await codeOf("a:1", { image: changed }), "MF_ARTEFACT_INVALID");
  equal(await codeOf("a:1", { image: Buffer.concat([image, image]) }), "MF_ARTEFACT_INVALID");
  equal(await codeOf("a:1", { image: image.subarray(0, 100) }), "MF_ARTEFACT_INVALID");
  equal(await codeOf(`a@${digest.slice(0, -1)}${digest.endsWith("0") ? "1" : "0"}`, {}), "MF_ARTEFACT_INVALID");
  equal(await codeOf("a:1", { manifest: Buffer.alloc(5_000_000, " ") }), "MF_ARTEFACT_INVALID");
  equal(await codeOf("a:1", { manifest: Buffer.from("{") }), "MF_ARTEFACT_INVALID");
  const large = manifest.toString().replace(`"size":${layer.size}`, `"size":${2 ** 40}`);
  equal(await codeOf("a:1", { manifest: Buffer.from(large) }), "MF_ARTEFACT_INVALID");
  match(asked, /^GET \/v2\/a\/manifests\/1 $/m);
});

test("credentials go to the registry and its token service, never in the clear to another", async (t) => {
  const seen: string[] = [];
  let challenge = "";
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { authorization = "none" } = request.headers;
    seen.push(`${request.url?.replace(/\?.*/, "")} ${authorization.slice(0, 12)}`);
    if (request.url?.startsWith("/token") === true) return void response.end('{"token":"abc"}');
    if (authorization === "Bearer abc") return void response.writeHead(404).end();
    response.writeHead(401, { "www-authenticate": challenge }).end('{"errors":[{"code":"DENIED","message":"not you\\u001b[31m"}]}');
  };
  const { host, server } = await liar(answer);
  t.after(() => server.close());
  const env = { MAYFLY_REGISTRY_USER: login.user, MAYFLY_REGISTRY_PASSWORD: login.password };
  const codeWith = async (given: string): Promise<string | undefined> => {
    challenge = given;
    seen.length = 0;
    return (await mayfly(["pull", `${host}/a:1`, "-c", at("mayfly.yaml")], env)).json.error?.code;
  };
  equal(await codeWith(`Bearer realm="http://${host}/token",service="s",scope="repository:a:pull"`), "MF_ARTEFACT_MISSING");
  deepEqual(seen, ["/v2/a/manifests/1 none", "/token Basic YWRhOn", "/v2/a/manifests/1 Bearer abc"]);
  for (const other of ["http://registry.example/token", "ftp://127.0.0.1/", "not a URL", ""]) {
    equal(await codeWith(`Bearer realm="${other}"`), "MF_REGISTRY_DENIED");
    deepEqual(seen, ["/v2/a/manifests/1 none"]);
  }
  equal(await codeWith("Negotiate"), "MF_REGISTRY_DENIED");
  equal(await codeWith(""), "MF_REGISTRY_DENIED");
  const told = await capture(["pull", `${host}/a:1`, "-c", at("mayfly.yaml")], { env: { HOME: folder } });
  equal(told.err.includes("\u001b"), false);
});
