/** Signatures and digests of outlets: published examples, and servers that check them. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { createRemoteJWKSet, exportJWK, jwtVerify } from "jose";
import { Provider } from "oidc-provider";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { httpSettings, withPeer } from "../testing/http-peer.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext } from "../testing/rig.ts";
import { digestAuthorization, digestChallenge } from "./digest.ts";
import { httpOutlet } from "./outlet.ts";
import { sha256 } from "../shared/sigv4.ts";
import { sigV4Authorization, type SigV4Config } from "./sigv4.ts";

const suite: SigV4Config = {
  region: "us-east-1",
  service: "service",
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const s3: SigV4Config = {
  ...suite,
  service: "s3",
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

/** Signatures as AWS publishes them: its test suite of Signature Version 4, and the examples of the S3 and IAM references. */
const published: readonly (readonly [
  name: string,
  config: SigV4Config,
  request: string,
  headers: Record<string, string>,
  body: string,
  signature: string,
])[] = [
  ["get-vanilla", suite, "GET /", {}, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  [
    "get-vanilla-query-order-key-case",
    suite,
    "GET /?Param2=value2&Param1=value1",
    {},
    "",
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
  [
    "get-unreserved",
    suite,
    "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    {},
    "",
    "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
  ],
  ["get-utf8", suite, "GET /\u1234", {}, "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"],
  ["get-vanilla-utf8-query", suite, "GET /?\u1234=bar", {}, "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"],
  [
    "get-header-value-trim",
    suite,
    "GET /",
    { "my-header1": " value1", "my-header2": ' "a   b   c"' },
    "",
    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  ],
  ["post-vanilla", suite, "POST /", {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
  [
    "post-header-key-sort",
    suite,
    "POST /",
    { "my-header1": "value1" },
    "",
    "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
  ],
  [
    "post-x-www-form-urlencoded",
    suite,
    "POST /",
    { "content-type": "application/x-www-form-urlencoded" },
    "Param1=value1",
    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
  ],
  [
    "IAM ListUsers",
    { ...suite, service: "iam" },
    "GET /?Action=ListUsers&Version=2010-05-08",
    { host: "iam.amazonaws.com", "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
    "",
    "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
  ],
  ["S3 GET Object", s3, "GET /test.txt", { range: "bytes=0-9" }, "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"],
  [
    "S3 PUT Object",
    s3,
    "PUT /test$file.text",
    { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
    "Welcome to Amazon S3.",
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  ],
  ["S3 GET Bucket lifecycle", s3, "GET /?lifecycle", {}, "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"],
  ["S3 list objects", s3, "GET /?prefix=J&max-keys=2", {}, "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"],
];
for (const [name, config, line, more, body, signature] of published)
  test(`sigv4 signs ${name} as AWS does`, () => {
    const [method = "", target = ""] = line.split(" ");
    const [path = "", query = ""] = target.split("?");
    const bodySha256 = sha256(body);
    const own =
      config.service === "s3"
        ? { host: "examplebucket.s3.amazonaws.com", "x-amz-date": "20130524T000000Z", "x-amz-content-sha256": bodySha256 }
        : { host: "example.amazonaws.com", "x-amz-date": "20150830T123600Z" };
    match(
      sigV4Authorization(config, { method, path, query, headers: { ...own, ...more }, bodySha256 }),
      new RegExp(`Signature=${signature}$`),
    );
  });

test("an outlet signs what it sends: the server counts the same signature from the request as it came", async () => {
  const seen: { readonly authorization: string; readonly counted: string }[] = [];
  const sqs: SigV4Config = { ...suite, region: "eu-central-1", service: "sqs", sessionToken: "session" };
  await withPeer(
    (request, response, body) => {
      const { headers, method = "", url = "" } = request;
      const authorization = headers.authorization ?? "";
      const names = /SignedHeaders=([^,]*)/.exec(authorization)?.[1]?.split(";") ?? [];
      const [path = "", query = ""] = url.split("?");
      const signed = Object.fromEntries(names.map((name) => [name, String(headers[name])]));
      seen.push({ authorization, counted: sigV4Authorization(sqs, { method, path, query, headers: signed, bodySha256: sha256(body) }) });
      response.end();
    },
    async (url) => {
      const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
      const outlet = httpOutlet.create(httpSettings(`${url}/a%20b//c?x=1&b=%2B+`, { auth: { sigv4: sqs } }), { ...testContext(), clock });
      await outlet.send(
        { ...message, headers: { ...message.headers, "x-amz-target": "AmazonSQS.SendMessage", authorization: "mine" } },
        attempt,
      );
      await outlet.stop();
    },
  );
  equal(seen[0]?.authorization, seen[0]?.counted);
  match(
    seen[0]?.authorization ?? "",
    /20260102\/eu-central-1\/sqs\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target,/,
  );
});

const mufasa = {
  user: "Mufasa",
  password: "Circle of Life",
  method: "GET",
  uri: "/dir/index.html",
  count: 1,
  cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
};
const nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const asked = (algorithm: string): string =>
  `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="${nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;

test("digest answers the examples of RFC 7616 as the RFC does, with erratum 4897", () => {
  const answered = (headers: readonly string[]): string => {
    const challenge = digestChallenge(headers);
    ok(challenge);
    return digestAuthorization(challenge, mufasa);
  };
  match(answered([asked("MD5")]), /response="8ca523f5e9506fed4657c9700eebdbec", algorithm=MD5, opaque="FQhe.*", qop=auth, nc=00000001,/);
  match(
    answered([asked("MD5"), asked("SHA-256")]),
    /response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", algorithm=SHA-256/,
  );
  match(answered([`${asked("SHA-256")}, ${asked("MD5")}, Basic realm="x"`]), /response="753927fa/, "all in one line");
  const challenge = digestChallenge([
    'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true',
  ]);
  ok(challenge);
  const doe = {
    ...mufasa,
    user: "J\u00e4s\u00f8n Doe",
    password: "Secret, or not?",
    uri: "/doe.json",
    cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
  };
  const answer = digestAuthorization(challenge, doe);
  match(answer, /username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"/);
  match(answer, /response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"/);
  match(digestAuthorization({ ...challenge, userhash: false }, doe), /username\*=UTF-8''J%C3%A4s%C3%B8n%20Doe, /);
  const quoted = digestAuthorization({ ...challenge, userhash: false }, { ...doe, user: "J\u00e4s\u00f8n O'Doe (*)" });
  match(quoted, /username\*=UTF-8''J%C3%A4s%C3%B8n%20O%27Doe%20%28%2A%29, /); // RFC 8187, 3.2.1
});

test("challenges that can't be answered are not, and whatever a server writes is read without harm", () => {
  const none = [
    "",
    "Basic realm=x",
    "Digest",
    "Digest realm=x",
    'Digest realm="x", nonce="y", algorithm=SHA-3',
    'Digest realm="x", nonce="y", qop="auth-int"',
    "Negotiate abc==",
  ];
  for (const header of none) equal(digestChallenge([header]), undefined, header);
  equal(digestChallenge(['Negotiate YII=, Digest realm="a\\"b", nonce=n, stale=TRUE'])?.realm, 'a"b');
  deepEqual(digestChallenge(["Digest realm=x, nonce=n"])?.qop, undefined);
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom(...'Digest realm=nonce,"\\ qop=auth \u00fc\u0000') }), { maxLength: 3 }),
      (headers) => {
        const challenge = digestChallenge(headers);
        if (challenge !== undefined) ok(digestAuthorization(challenge, mufasa).startsWith("Digest "));
      },
    ),
    { numRuns: 2_000 },
  );
});

test("an outlet answers a server that asks by digest, once for many requests, and again when the nonce is stale", async () => {
  let current = "n1";
  const seen: string[] = [];
  const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
  await withPeer(
    (request, response, body) => {
      const parts = Object.fromEntries(
        [...(request.headers.authorization ?? "").matchAll(/(\w+)="?([^",]*)/g)].map(([, name, value]) => [name, value]),
      ) as Record<string, string>;
      const right = hash(`${hash("ada:shop:p:w")}:${current}:${parts["nc"]}:${parts["cnonce"]}:auth:${hash(`POST:${request.url}`)}`);
      const isRight = parts["response"] === right && parts["uri"] === request.url;
      seen.push(isRight ? `${parts["nonce"]} ${parts["nc"]} ${body}` : "401");
      if (!isRight)
        response.writeHead(401, { "www-authenticate": `Digest realm="shop", nonce="${current}", algorithm=SHA-256, qop="auth"` });
      response.end();
    },
    async (url) => {
      const using = (digest: string) => httpOutlet.create(httpSettings(`${url}/a?b=1`, { auth: { digest } }), testContext());
      const outlet = using("ada:p:w");
      await outlet.send(message, attempt);
      await outlet.send(message, attempt);
      current = "n2";
      await outlet.send(message, attempt);
      await outlet.stop();
      const text = new TextDecoder().decode(message.body);
      deepEqual(seen, ["401", `n1 00000001 ${text}`, `n1 00000002 ${text}`, "401", `n2 00000001 ${text}`]);
      const wrong = using("ada:wrong");
      await rejects(wrong.send(message, attempt), (error: Error) => !error.message.includes("wrong"));
      await rejects(wrong.send(message, attempt));
      await wrong.stop();
      equal(seen.length, 8, "a wrong password is not tried over and over");
    },
  );
});

test("private_key_jwt is taken by a real identity provider; a key that is missing or malformed says so without showing it", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const dir = await mkdtemp(join(tmpdir(), "mayfly-client-"));
  await writeFile(join(dir, "client.pem"), privateKey.export({ type: "pkcs8", format: "pem" }));
  let handle: ReturnType<Provider["callback"]> | undefined;
  const server = createServer((request, response) => void handle?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  handle = new Provider(issuer, {
    clients: [
      {
        client_id: "mayfly",
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [{ ...((await exportJWK(publicKey)) as object), kid: "c1" }] as never },
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "https://erp.example",
        getResourceServerInfo: () => ({ scope: "orders.write", accessTokenFormat: "jwt" }),
      },
    },
  }).callback();
  const shown: string[] = [];
  await withPeer(
    (request, response) => {
      shown.push(request.headers.authorization ?? "");
      response.end();
    },
    async (url) => {
      const using = (privateKey: string) =>
        httpOutlet.create(
          httpSettings(url, {
            auth: {
              oauth2: {
                tokenUrl: `${issuer}/token`,
                clientId: "mayfly",
                privateKey,
                keyId: "c1",
                scope: "orders.write",
                assertionAudience: issuer,
                credentials: "header",
              },
            },
          }),
          testContext(16, dir),
        );
      const outlet = using("client.pem");
      await outlet.send(message, attempt);
      await outlet.stop();
      const { payload } = await jwtVerify(shown[0]?.slice("Bearer ".length) ?? "", createRemoteJWKSet(new URL(`${issuer}/jwks`)), {
        issuer,
      });
      deepEqual([payload["client_id"], payload["scope"], payload.aud], ["mayfly", "orders.write", "https://erp.example"]);
      for (const key of ["missing.pem", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"]) {
        const bad = using(key);
        await rejects(bad.send(message, attempt), (error: Error & { code: string; cause?: unknown }) => {
          deepEqual([error.code, error.cause, /c2VjcmV0|secret/.test(error.stack ?? "")], ["MF_OAUTH2_TOKEN", undefined, false]);
          return true;
        });
        await bad.stop();
      }
    },
  ).finally(() => {
    server.closeAllConnections();
    server.close();
  });
  await rm(dir, { recursive: true });
  const oauth2 = { tokenUrl: "http://a/", clientId: "c", credentials: "header" as const };
  for (const more of [{}, { clientSecret: "s", privateKey: "k" }])
    throws(() => httpOutlet.create(httpSettings("http://a/", { auth: { oauth2: { ...oauth2, ...more } } }), testContext()), {
      code: "MF_OAUTH2_CLIENT",
    });
});

test("through a proxy with a password, except to hosts that NO_PROXY names; answers beyond the outlet's limit are refused", async (test_) => {
  const tunnels: string[] = [];
  const proxy = createServer((_request, response) => response.writeHead(500).end());
  proxy.on("connect", (request, socket) => {
    tunnels.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    const { hostname, port } = new URL(`http://${request.url}`);
    const peer = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(peer).pipe(socket);
    });
    for (const each of [peer, socket]) each.on("error", () => [peer, socket].forEach((one) => one.destroy()));
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  test_.after(() => {
    proxy.closeAllConnections();
    proxy.close();
    delete process.env["NO_PROXY"];
  });
  const at = `http://ada:p%40ss@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  await withPeer(
    (_request, response) => response.end("0123456789"),
    async (url) => {
      const ask = async (more: object): Promise<number> => {
        const outlet = httpOutlet.create(httpSettings(url, more), testContext());
        return (await outlet.request?.({ ...message, method: "GET" }, attempt).finally(() => outlet.stop()))?.body.length ?? 0;
      };
      equal(await ask({ proxy: at }), 10);
      deepEqual(tunnels, [`${new URL(url).host} Basic ${Buffer.from("ada:p@ss").toString("base64")}`]);
      process.env["NO_PROXY"] = "example.com, 127.0.0.1";
      equal(await ask({ proxy: at }), 10);
      equal(tunnels.length, 1);
      equal(await ask({ answerLimit: 10 }), 10);
      await rejects(ask({ answerLimit: 9 }), { code: "MF_HTTP_ANSWER_TOO_BIG" });
      delete process.env["NO_PROXY"];
      await rejects(ask({ proxy: "http://ada:p%40ss@127.0.0.1:1" }), (error: Error) => !/p%40ss|p@ss/.test(String(error.stack)));
    },
  );
});
