/**
 * Callers are who they say: addresses that headers pretend, and certificates that another authority signed, are tried on a real `serve`
 * with real TLS.
 */
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { request as plainRequest } from "node:http";
import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { type RequestOptions, request as tlsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const skip = spawnSync("openssl", ["version"]).status === 0 ? false : "no openssl";

const whoami = `import { flow } from "mayfly";
export default flow((msg) => ({ caller: msg.headers["mayfly-caller"], claims: msg.claims }));
`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-callers-"));
  await writeFile(join(folder, "whoami.ts"), whoami);
});
after(() => rm(folder, { recursive: true, force: true }));

async function serving(yaml: string, run: (served: Serving) => Promise<void>, logger: typeof silentLogger = silentLogger): Promise<void> {
  await writeFile(join(folder, "mayfly.yaml"), `${yaml}\njournal: { memory: true }\nhistory: { enabled: false }\n`);
  const served = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger });
  await run(served).finally(() => served.stop());
}

interface Answer {
  readonly status: number | undefined;
  readonly body: { readonly [name: string]: unknown; readonly code?: string; readonly caller?: string };
  readonly headers: Readonly<Record<string, unknown>>;
}

function ask(url: string, options: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = (url.startsWith("https:") ? tlsRequest : plainRequest)(url, { method: "POST", agent: false, ...options });
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.on("data", (part) => (text += String(part)));
      response.on("end", () =>
        resolve({ status: response.statusCode, body: JSON.parse(text) as Answer["body"], headers: response.headers }),
      );
    });
    request.end();
  });
}

const http = (settings: string, more = ""): string =>
  `http: { ${more} }\nflows: { whoami: { flow: whoami.ts, from: [ { http: { path: /x, ${settings} } } ] } }`;

test("a header lets nobody in whose connection is from elsewhere, nor out of a rate", async () => {
  await serving(http('allow: ["10.0.0.0/8"], rateLimit: { rate: 2/h, by: address }'), async ({ url }) => {
    for (const name of ["x-forwarded-for", "forwarded", "x-real-ip", "client-ip", "true-client-ip"])
      deepEqual(
        await ask(`${url}/x`, { headers: { [name]: name === "forwarded" ? "for=10.0.0.7" : "10.0.0.7" } }).then(({ status, body }) => [
          status,
          body.code,
        ]),
        [403, "MF_ADDRESS_DENIED"],
      );
  });
  await serving(http("rateLimit: { rate: 2/h, by: address }"), async ({ url }) => {
    const statuses = [];
    for (const turn of [1, 2, 3]) statuses.push((await ask(`${url}/x`, { headers: { "x-forwarded-for": `10.0.0.${turn}` } })).status);
    deepEqual(statuses, [200, 200, 429]);
  });
});

test("behind a trusted proxy the caller is whom the proxy has written, not whom the caller has", async () => {
  const trusted = "proxies: { trusted: [127.0.0.1] }";
  await serving(http('allow: ["10.0.0.0/8"], rateLimit: { rate: 2/h, by: address }', trusted), async ({ url }) => {
    const status = async (headers: Record<string, string>): Promise<unknown> => (await ask(`${url}/x`, { headers })).status;
    equal(await status({ "x-forwarded-for": "10.0.0.7, 203.0.113.9" }), 403, "the left is the caller's own");
    equal(await status({ "x-forwarded-for": "203.0.113.9", forwarded: "for=10.0.0.7" }), 403, "a header that the proxy does not write");
    equal(await status({ "x-forwarded-for": "10.0.0.7, unknown" }), 403);
    equal(await status({}), 403, "the proxy itself is not on the list");
    for (const [forged, wanted] of [
      ["1.1.1.1", 200],
      ["2.2.2.2", 200],
      ["3.3.3.3", 429],
    ] as const)
      equal(await status({ "x-forwarded-for": `${forged}, 10.0.0.7` }), wanted);
    equal(await status({ "x-forwarded-for": "10.0.0.8" }), 200, "another caller behind the same proxy");
  });
});

/** Authorities, servers and clients, by the openssl program. */
function certificates(dir: string): void {
  const openssl = (...words: readonly string[]): void => {
    const { status, stderr } = spawnSync("openssl", words, { cwd: dir });
    if (status !== 0) throw new Error(`openssl ${words[0]}: ${String(stderr)}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  for (const ca of ["ca", "evil"])
    openssl("req", "-x509", ...key, "-keyout", `${ca}.key`, "-out", `${ca}.pem`, "-subj", "/CN=authority", "-days", "2");
  const sign = (name: string, subject: string, ca: string, names: string, days = "2"): void => {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject, "-addext", `subjectAltName=${names}`);
    const words = [
      "-in",
      `${name}.csr`,
      "-CA",
      `${ca}.pem`,
      "-CAkey",
      `${ca}.key`,
      "-CAcreateserial",
      "-out",
      `${name}.pem`,
      "-days",
      days,
    ];
    openssl("x509", "-req", ...words, "-copy_extensions", "copy");
  };
  sign("one", "/CN=one", "ca", "DNS:one.test");
  sign("two", "/CN=two", "ca", "DNS:two.test,DNS:*.two.test");
  sign("next", "/CN=next", "ca", "DNS:one.test");
  sign("ada", "/C=DE/O=Shop, Inc/CN=ada", "ca", "email:ada@shop.example");
  sign("grace", "/C=DE/O=Shop, Inc/CN=grace", "ca", "email:grace@shop.example");
  sign("mallory", "/C=DE/O=Shop, Inc/CN=ada", "evil", "email:ada@shop.example");
  sign("forger", "/CN=x,CN=ada\\,O=Shop", "ca", "email:x@shop.example");
}

const tls =
  "tls: { cert: one.pem, key: one.key, clientCa: ca.pem, minVersion: TLSv1.3, certificates: [ { cert: two.pem, key: two.key } ] }";

async function client(name: string): Promise<{ readonly cert: Buffer | undefined; readonly key: Buffer | undefined }> {
  const [cert, key] = await Promise.all(["pem", "key"].map((end) => readFile(join(folder, `${name}.${end}`))));
  return { cert, key };
}

test("a certificate names its caller only if the gateway's own authority has signed it", { skip }, async () => {
  certificates(folder);
  const ca = await readFile(join(folder, "ca.pem"));
  const known = { ca, servername: "one.test" };
  const subject = "CN=ada,O=Shop\\\\, Inc,C=DE";
  await serving(http(`auth: [ { mtls: { subjects: ["${subject}"] } }, { apiKey: { keys: { robot: k3y } } } ]`, tls), async ({ url }) => {
    const ada = await ask(`${url}/x`, { ...known, ...(await client("ada")), headers: { "mayfly-caller": "root" } });
    deepEqual([ada.status, ada.body.caller], [200, "CN=ada,O=Shop\\, Inc,C=DE"]);
    match(String((ada.body["claims"] as { subjectAltName?: string }).subjectAltName), /ada@shop/);
    const denied = async (options: RequestOptions): Promise<unknown[]> => {
      const { status, body } = await ask(`${url}/x`, { ...known, ...options });
      return [status, body.code];
    };
    const unauthorized = [401, "MF_UNAUTHORIZED"];
    deepEqual(await denied({}), unauthorized, "no certificate");
    for (const name of ["mallory", "grace", "forger"]) deepEqual(await denied(await client(name)), unauthorized, name);
    const robot = await ask(`${url}/x`, { ...known, ...(await client("mallory")), headers: { "x-api-key": "k3y" } });
    deepEqual([robot.status, robot.body.caller], [200, "robot"], "another way is open all the same");
    // A header as proxies write it is no certificate.
    deepEqual(
      await denied({ headers: { "x-ssl-client-s-dn": "CN=ada,O=Shop", "x-forwarded-client-cert": "Subject=CN=ada" } }),
      unauthorized,
    );
  });
  await rejects(
    serving(http("auth: { mtls: {} }"), async () => undefined),
    /set http\.tls\.clientCa/,
  );
});

test("over HTTP/2 a caller is whom its connection's certificate and address say", { skip }, async () => {
  certificates(folder);
  const ca = await readFile(join(folder, "ca.pem"));
  const caller = async (url: string, name: string, headers: OutgoingHttpHeaders = {}): Promise<unknown[]> => {
    const session = connectHttp2(url, { ca, servername: "one.test", ...(await client(name)) });
    try {
      const stream = session.request({ ":method": "POST", ":path": "/x", ...headers }).end();
      const [told] = (await once(stream, "response")) as [Record<string, unknown>];
      let text = "";
      for await (const part of stream) text += String(part);
      const { caller: own, code } = JSON.parse(text) as Answer["body"];
      return [told[":status"], own ?? code];
    } finally {
      session.destroy();
    }
  };
  const subject = "CN=ada,O=Shop\\\\, Inc,C=DE";
  await serving(http(`auth: { mtls: { subjects: ["${subject}"] } }`, tls), async ({ url }) => {
    deepEqual(await caller(url, "ada", { "mayfly-caller": "root" }), [200, "CN=ada,O=Shop\\, Inc,C=DE"]);
    for (const name of ["mallory", "grace", "forger"]) deepEqual(await caller(url, name), [401, "MF_UNAUTHORIZED"], name);
  });
  await serving(http('allow: ["10.0.0.0/8"]', tls), async ({ url }) => {
    deepEqual(await caller(url, "ada", { "x-forwarded-for": "10.0.0.7" }), [403, "MF_ADDRESS_DENIED"]);
  });
});

/** Common name of the certificate shown for a name. */
function shownTo(url: string, servername: string, more: object = {}): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: hostname, port: Number(port), ...(servername === "" ? {} : { servername }), rejectUnauthorized: false, ...more },
      () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}

test("each name has its certificate, an old TLS is refused, and a renewed certificate is shown without a restart", { skip }, async () => {
  certificates(folder);
  let refused = (_text: string): void => undefined;
  const isRefused = new Promise<string>((resolve) => (refused = resolve));
  const logger = { ...silentLogger, error: (_fields: object, text: string) => refused(text), child: () => logger };
  const run = async ({ url }: Serving): Promise<void> => {
    deepEqual(await Promise.all(["one.test", "two.test", "a.two.test", "else.test", ""].map((name) => shownTo(url, name))), [
      "one",
      "two",
      "two",
      "one",
      "one",
    ]);
    await rejects(shownTo(url, "one.test", { maxVersion: "TLSv1.2" }), { code: /PROTOCOL_VERSION/ });
    await copyFile(join(folder, "next.pem"), join(folder, "one.pem")); // its key is still the old one's
    match(await isRefused, /cannot use one\.pem with one\.key/);
    equal(await shownTo(url, "one.test"), "one", "a certificate without its key is not taken");
    await copyFile(join(folder, "next.key"), join(folder, "one.key"));
    while ((await shownTo(url, "one.test")) !== "next") await new Promise((resolve) => setTimeout(resolve, 100));
    deepEqual(await Promise.all(["two.test", "else.test", ""].map((name) => shownTo(url, name))), ["two", "next", "next"]);
    const { status } = await ask(`${url}/x`, { ca: await readFile(join(folder, "ca.pem")), servername: "one.test" });
    equal(status, 200);
  };
  await serving(http("mode: reply", tls), run, logger);
});
