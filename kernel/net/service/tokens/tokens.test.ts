/** Tokens in V8 under virtual time: real keys and signatures, an issuer whose answers the test writes, and every clock in the test's hand. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { constants, createHash, KeyObject, privateEncrypt, publicDecrypt, sign as sign256 } from "node:crypto";
import { test } from "node:test";
import { exportJWK, generateKeyPair, importJWK, type JWTPayload, SignJWT } from "jose";
import type { ServiceToken } from "#abi";
import { bodyOf, type BenchOptions, type Peer, plainFlow, ServiceBench, statusOf } from "../../testing/service.ts";

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

const token: ServiceToken = {
  algorithms: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
  issuers: ["https://id.example"],
  audiences: ["orders"],
  scopes: ["orders.write"],
  claims: { role: ["clerk", "boss"], level: ["3"] },
  toleranceMs: 5_000,
};
const route = plainFlow.routes[0] as (typeof plainFlow.routes)[number];

async function publish(kid: string | undefined, alg: string, options = {}): Promise<{ readonly keys: Keys; readonly jwk: object }> {
  const keys = await generateKeyPair(alg, { extractable: true, ...options });
  return { keys, jwk: { ...(await exportJWK(keys.publicKey)), ...(kid && { kid }), alg } };
}

class Tokens {
  readonly bench: ServiceBench;
  delivered: Record<string, string>[] = [];

  private constructor(bench: ServiceBench) {
    this.bench = bench;
    bench.run = (event) => {
      if (event.kind === "deliver") this.delivered.push(JSON.parse(event.headersJson) as Record<string, string>);
      return [{ kind: "done", reply: undefined }];
    };
  }

  static async create(options: BenchOptions = {}, rules: Partial<ServiceToken> = {}): Promise<Tokens> {
    const bench = await ServiceBench.create({
      tokens: true,
      names: { "id.example": 0x0a000202 },
      service: {
        routes: [{ ...route, auth: 0 }],
        auth: [
          [
            { type: "jwt", header: "authorization", caller: undefined, secret: "http://id.example:81/keys", token: { ...token, ...rules } },
            { type: "bearer", header: "authorization", caller: undefined, secret: "fixed" },
          ],
        ],
      },
      ...options,
    });
    const tokens = new Tokens(bench);
    bench.pass(0);
    return tokens;
  }

  /** The fetch under way; the issuer's side of it. */
  fetching(): Peer {
    const peer = this.bench.connected.at(-1);
    ok(peer !== undefined, "no keys are asked for");
    return peer;
  }

  answer(body: string, status = 200): void {
    const peer = this.fetching();
    this.bench.connect(peer);
    this.bench.send(peer, `HTTP/1.1 ${status} X\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    this.bench.close(peer);
  }

  keys(...jwks: readonly object[]): void {
    this.answer(JSON.stringify({ keys: jwks }));
  }

  /** Status, and code of the problem. */
  call(text: string): readonly [number, string?] {
    const answer = this.bench.ask(`POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${text}\r\nContent-Length: 0\r\n\r\n`);
    const status = statusOf(answer);
    return status === 204 ? [status] : [status, (JSON.parse(bodyOf(answer)) as { code: string }).code];
  }

  async sign({ privateKey }: Keys, alg: string, claims: object = {}, header = {}): Promise<string> {
    const seconds = Math.floor(this.bench.host.wallMs / 1000);
    const all = {
      iss: "https://id.example",
      aud: "orders",
      sub: "ada",
      scope: "a orders.write",
      role: "clerk",
      level: 3,
      exp: seconds + 60,
    };
    return await new SignJWT({ ...all, ...claims }).setProtectedHeader({ alg, kid: "k1", ...header }).sign(privateKey);
  }
}

/** Header and claims of a token of the issuer. */
async function unsigned(tokens: Tokens, alg: string): Promise<readonly string[]> {
  const { privateKey } = await generateKeyPair("ES256");
  const [, body = ""] = (await tokens.sign({ privateKey } as Keys, "ES256")).split(".");
  return [Buffer.from(JSON.stringify({ alg, kid: "k1" })).toString("base64url"), body];
}

const invalid = [401, "MF_TOKEN_INVALID"];
const away = [503, "MF_JWKS_UNAVAILABLE"];

for (const [alg, options] of [
  ["RS256", {}],
  ["RS384", { modulusLength: 3072 }],
  ["RS512", { modulusLength: 4096 }],
  ["PS256", {}],
  ["PS384", { modulusLength: 2056 }],
  ["PS512", { modulusLength: 4096 }],
  ["ES256", {}],
  ["ES384", {}],
  ["ES512", {}],
  ["Ed25519", {}],
  ["EdDSA", {}],
] as const)
  test(`${alg}: a token of the issuer is taken, and none that was changed anywhere`, async () => {
    const { keys, jwk } = await publish("k1", alg, options);
    const other = await publish("k1", alg, options);
    const tokens = await Tokens.create();
    tokens.keys(jwk);
    const good = await tokens.sign(keys, alg);
    deepEqual(tokens.call(good), [204]);
    const [headers] = tokens.delivered;
    equal(headers?.["mayfly-caller"], "ada");
    equal((JSON.parse(headers?.["mayfly-claims"] ?? "") as JWTPayload)["role"], "clerk");
    equal(headers?.["authorization"], undefined);
    deepEqual(tokens.call(await tokens.sign(other.keys, alg)), invalid, "another's key");
    const [head = "", body = "", signature = ""] = good.split(".");
    const bytes = Buffer.from(signature, "base64url");
    for (const at of [0, 1, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      deepEqual(tokens.call(`${head}.${body}.${changed.toString("base64url")}`), invalid, `bit of byte ${at}`);
    }
    for (const wrong of [
      bytes.subarray(1),
      Buffer.concat([bytes, bytes.subarray(0, 1)]),
      Buffer.alloc(bytes.length),
      Buffer.alloc(bytes.length, 0xff),
      Buffer.alloc(0),
    ])
      deepEqual(tokens.call(`${head}.${body}.${wrong.toString("base64url")}`), invalid);
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as JWTPayload;
    deepEqual(
      tokens.call(`${head}.${Buffer.from(JSON.stringify({ ...claims, sub: "root" })).toString("base64url")}.${signature}`),
      invalid,
    );
    deepEqual(tokens.call(good), [204], "it still is");
    equal(tokens.delivered.length, 2);
  });

test("claims decide: issuer, audience, times, scopes and texts", async () => {
  const { keys, jwk } = await publish("k1", "ES256");
  const tokens = await Tokens.create();
  tokens.keys(jwk);
  const seconds = Math.floor(tokens.bench.host.wallMs / 1000);
  const forbidden = [403, "MF_FORBIDDEN"];
  const cases: readonly (readonly [object, readonly unknown[]])[] = [
    [{ iss: "https://evil.example" }, invalid],
    [{ iss: ["https://id.example"] }, invalid],
    [{ aud: "billing" }, invalid],
    [{ aud: ["billing", "orders"] }, [204]],
    [{ aud: [["orders"]] }, invalid],
    [{ aud: undefined }, invalid],
    [{ exp: undefined }, invalid],
    [{ exp: String(seconds + 60) }, invalid],
    [{ exp: seconds - 4.5 }, [204]],
    [{ exp: seconds - 5 }, invalid],
    [{ exp: 1e300 }, [204]],
    [{ nbf: seconds + 5 }, [204]],
    [{ nbf: seconds + 5.5 }, invalid],
    [{ nbf: "0" }, invalid],
    [{ iat: "0" }, invalid],
    [{ iat: seconds + 1e6 }, [204]],
    [{ scope: "orders.write2 orders" }, forbidden],
    [{ scope: undefined, scp: ["a", "orders.write"] }, [204]],
    [{ scope: ["orders.write"] }, [204]],
    [{ scope: ["a orders.write"] }, forbidden],
    [{ scope: 1 }, forbidden],
    [{ role: ["guest", "boss"] }, [204]],
    [{ role: "guest" }, forbidden],
    [{ role: { clerk: true } }, forbidden],
    [{ role: null }, forbidden],
    [{ level: "3" }, [204]],
    [{ level: 33 }, forbidden],
    [{ level: [2, 3] }, [204]],
    [{ role: "cl\u0065rk", note: 'é"\\\u2028\u0085' }, [204]],
  ];
  for (const [claims, expected] of cases)
    deepEqual(tokens.call(await tokens.sign(keys, "ES256", claims)), expected, JSON.stringify(claims));
  equal((JSON.parse(tokens.delivered.at(-1)?.["mayfly-claims"] ?? "") as JWTPayload)["note"], 'é"\\\u2028\u0085');
  deepEqual(tokens.call("fixed"), [204], "another way of the group");
  equal(tokens.delivered.at(-1)?.["mayfly-claims"], undefined, "claims are of one request");
  equal(tokens.delivered.at(-1)?.["mayfly-caller"], undefined);
  deepEqual(tokens.call("wrong"), [401, "MF_UNAUTHORIZED"]);
  const late = await tokens.sign(keys, "ES256");
  deepEqual(tokens.call(late), [204]);
  tokens.bench.pass(66_000);
  deepEqual(tokens.call(late), invalid, "a token that was verified before expires like any other");
});

test("a header chooses neither its algorithm nor its key, and what is not canonical is refused", async () => {
  const { keys, jwk } = await publish("k1", "RS256");
  const { keys: ecKeys, jwk: ec } = await publish("k2", "ES256");
  const tokens = await Tokens.create({}, { algorithms: ["RS256", "ES256"] });
  const { alg: _alg, ...anyRsa } = jwk as { alg: string };
  const { alg: _other, ...anyCurve } = (await publish("k4", "ES512")).jwk as { alg: string };
  tokens.keys(anyRsa, ec, anyCurve, { kty: "oct", kid: "k3", k: "AAAA" });
  const good = await tokens.sign(keys, "RS256");
  deepEqual(tokens.call(good), [204]);
  const other = { ...keys, privateKey: (await importJWK(await exportJWK(keys.privateKey), "RS384")) as Keys["privateKey"] };
  deepEqual(tokens.call(await tokens.sign(other, "RS384")), invalid, "not among the algorithms");
  deepEqual(tokens.call(await tokens.sign(ecKeys, "ES256", {}, { kid: "k2" })), [204]);
  deepEqual(tokens.call(await tokens.sign(ecKeys, "ES256", {}, { kid: "k1" })), invalid, "a key of another kind");
  match(
    tokens.bench.ask(
      `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await tokens.sign(ecKeys, "ES256", {}, { kid: "k4" })}\r\nContent-Length: 0\r\n\r\n`,
    ),
    /ERR_JWKS_NO_MATCHING_KEY/,
    "a key of another curve",
  );
  const [head = "", body = "", signature = ""] = good.split(".");
  const header = (text: string): string => `${Buffer.from(text).toString("base64url")}.${body}.${signature}`;
  for (const text of [
    '{"alg":"none"}',
    '{"alg":"HS256","kid":"k3"}',
    '{"alg":"RS256","kid":"k1","alg":"RS256"}',
    '{"alg":"RS256","kid":"k1","crit":["b64"],"b64":true}',
    '{"alg":["RS256"],"kid":"k1"}',
    '{"alg":"RS256","kid":1}',
    '{"kid":"k1"}',
    "[]",
    "",
    `{"alg":"RS256","kid":"k1","x":${"[".repeat(100)}${"]".repeat(100)}}`,
    `{"alg":"RS256","kid":"k1",${Array.from({ length: 200 }, (_, index) => `"${index}":0`).join()}}`,
  ])
    deepEqual(tokens.call(header(text)), invalid, text);
  deepEqual(tokens.call(`${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`), invalid);
  for (const text of [
    `${good}=`,
    `${head}=.${body}.${signature}`,
    `${head}.${body}=.${signature}`,
    good.replace(/.$/, "*"),
    `${good}AAAA`,
    "..",
    ".a.b",
  ])
    deepEqual(tokens.call(text), invalid, text.slice(-20));
  const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const loose = last[last.indexOf(good.at(-1) ?? "") ^ 1] ?? ""; // a bit that no byte has
  deepEqual(tokens.call(good.slice(0, -1) + loose), invalid, "bits that are left over");
  for (const text of ["a.b", "a.b.c.d", `${good}.a`]) deepEqual(tokens.call(text), [401, "MF_UNAUTHORIZED"], text.slice(-10));
});

test("RSA signatures have the one form there is", async () => {
  const { keys, jwk } = await publish("k1", "RS256");
  const key = KeyObject.from(keys.privateKey as Parameters<typeof KeyObject.from>[0]);
  const { alg: _alg, ...any } = jwk as { alg: string };
  const tokens = await Tokens.create();
  tokens.keys(any);
  const input = async (alg: string): Promise<string> => (await unsigned(tokens, alg)).join(".");
  const rs = await input("RS256");
  const digest = createHash("sha256").update(rs).digest();
  const info = Buffer.from("3031300d060960864801650304020105000420", "hex");
  const block = (front: readonly number[], fill: number, tail: Buffer): Buffer =>
    Buffer.concat([Buffer.from(front), Buffer.alloc(256 - front.length - 1 - tail.length, fill), Buffer.of(0), tail]);
  const right = block([0, 1], 0xff, Buffer.concat([info, digest]));
  const changed = (at: number, byte: number): Buffer => {
    const copy = Buffer.from(right);
    copy[at] = byte;
    return copy;
  };
  const call = (text: string, bytes: Buffer): readonly [number, string?] => tokens.call(`${text}.${bytes.toString("base64url")}`);
  const open = (bytes: Buffer): Buffer => privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, bytes);
  deepEqual(call(rs, open(right)), [204]);
  for (const wrong of [
    changed(1, 2),
    changed(2, 0xfe),
    changed(100, 0),
    changed(203, 0xfe),
    changed(204, 1),
    changed(206, 0x32),
    changed(222, 0x21),
    block([0, 1], 0xff, Buffer.concat([Buffer.from("302f300b0609608648016503040201", "hex"), Buffer.of(4, 32), digest])), // without NULL
    block([0, 1], 0xff, Buffer.concat([info, digest, Buffer.alloc(100)])), // and something behind
    block([0, 1], 0xff, digest),
    Buffer.alloc(256),
  ])
    deepEqual(call(rs, open(wrong)), invalid, wrong.toString("hex"));
  const ps = await input("PS256");
  const sign = (saltLength: number): Buffer =>
    sign256("sha256", Buffer.from(ps), { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
  deepEqual(call(ps, sign(32)), [204]);
  for (const saltLength of [0, 20, 31, 33, 64]) deepEqual(call(ps, sign(saltLength)), invalid, `salt of ${saltLength}`);
  const whole = publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, sign(32));
  for (const [at, bit] of [
    [255, 1],
    [0, 0x40],
    [200, 1],
    [230, 1],
  ] as const) {
    const copy = Buffer.from(whole);
    copy[at] = (copy[at] ?? 0) ^ bit;
    deepEqual(call(ps, open(copy)), invalid, `bit of byte ${at}`);
  }
  const modulus = Buffer.from((any as unknown as { n: string }).n, "base64url");
  let high = Buffer.from(whole);
  while (Buffer.compare(high, modulus) >= 0 || (high[0] ?? 0) < 0x80) {
    high = Buffer.from(publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, sign(32)));
    high[0] = (high[0] ?? 0) | 0x80;
  }
  deepEqual(call(ps, open(high)), invalid, "a bit above the length of the modulus less one");
  deepEqual(call(ps, sign256("sha256", Buffer.from(ps), key)), invalid, "of the other kind");
});

test("claims of which readers might see different things are refused, though the issuer signed them", async () => {
  const { keys, jwk } = await publish("k1", "Ed25519");
  const tokens = await Tokens.create();
  tokens.keys(jwk);
  const { CompactSign } = await import("jose");
  const sign = (payload: string | Uint8Array): Promise<string> =>
    new CompactSign(typeof payload === "string" ? Buffer.from(payload) : payload)
      .setProtectedHeader({ alg: "Ed25519", kid: "k1" })
      .sign(keys.privateKey);
  const claims = `"iss":"https://id.example","aud":"orders","scope":"orders.write","role":"clerk","level":3,"exp":${Math.floor(tokens.bench.host.wallMs / 1000) + 60}`;
  deepEqual(tokens.call(await sign(`{${claims}}`)), [204]);
  const extended = new CompactSign(Buffer.from(`{${claims}}`)).setProtectedHeader({ alg: "Ed25519", kid: "k1", crit: ["b64"], b64: true });
  deepEqual(tokens.call(await extended.sign(keys.privateKey)), invalid, "an extension that must be understood");
  deepEqual(tokens.call(await sign(`{ ${claims.replaceAll(",", " ,\n")} }\n`)), [204], "white space");
  for (const payload of [
    `{${claims},"role":"boss"}`,
    `{${claims},"r\\u006fle":"boss"}`,
    `{${claims}`,
    `{${claims}} x`,
    `[{${claims}}]`,
    `{${claims},"x":${"[".repeat(65)}${"]".repeat(65)}}`,
    `{${claims},"x":01}`,
    Buffer.from(`{${claims},"x":"\xff"}`, "latin1"),
    Buffer.from(`\ufeff{${claims}}`),
  ])
    deepEqual(tokens.call(await sign(payload)), invalid, String(payload));
});

test("keys come when the service starts, when a token names a new one, and by age; without them nobody is let in", async () => {
  const { keys, jwk } = await publish("k1", "ES256");
  const next = await publish("k2", "ES256");
  const tokens = await Tokens.create();
  const { bench } = tokens;
  const early = await tokens.sign(keys, "ES256");
  deepEqual(tokens.call(early), away);
  match(bench.ask(`POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${early}\r\nContent-Length: 0\r\n\r\n`), /\r\nretry-after: 5\r\n/);
  bench.connect(tokens.fetching());
  match(tokens.fetching().text, /^GET \/keys HTTP\/1\.1\r\nhost: id\.example:81\r\naccept: application\/json/);
  tokens.keys(jwk);
  deepEqual(tokens.call(early), [204]);
  equal(bench.connected.length, 1);
  const rotated = await tokens.sign(next.keys, "ES256", { exp: 9e9 }, { kid: "k2" });
  deepEqual(tokens.call(rotated), invalid, "the keys have just come");
  bench.pass(11_000);
  deepEqual(tokens.call(rotated), away, "they are asked for again");
  deepEqual(tokens.call(await tokens.sign(keys, "ES256")), [204], "nobody else waits");
  tokens.keys(next.jwk);
  deepEqual(tokens.call(rotated), [204]);
  deepEqual(tokens.call(await tokens.sign(keys, "ES256")), invalid, "a key that was withdrawn");
  equal(bench.connected.length, 2);
  bench.pass(300_000);
  equal(bench.connected.length, 3, "by age");
  tokens.answer("no", 500);
  deepEqual(tokens.call(rotated), [204], "keys of before go on");
  match(bench.host.console, /MF_JWKS_UNAVAILABLE.*id\.example gave no keys: its answer has another status than 200: check jwks/);
  for (let second = 0; second < 300; second++) {
    bench.pass(1_000);
    const peer = bench.connected.at(-1);
    if (peer !== undefined && !peer.closed) bench.close(peer);
  }
  deepEqual(tokens.call(rotated), away, "until they are too old");
  const tries = bench.connected.length;
  ok(tries > 5 && tries < 20, `${tries} fetches`);
  while (tokens.fetching().closed) bench.pass(1_000);
  tokens.keys(next.jwk);
  deepEqual(tokens.call(rotated), [204]);
});

test("an issuer's answer that is no set of keys is the issuer's fault, and a key that can't be used is nobody's", async () => {
  const { keys, jwk } = await publish("k1", "RS256");
  const tokens = await Tokens.create();
  const good = await tokens.sign(keys, "RS256");
  const turns = [
    "{}",
    "<html>",
    '{"keys":{}}',
    '{"keys":[1]}',
    `{"keys":[],"x":${"[".repeat(70)}}`,
    `{"keys":[${Array(65).fill('{"kty":"oct"}').join()}]}`,
  ];
  for (const body of turns) {
    tokens.answer(body);
    deepEqual(tokens.call(good), away, body.slice(0, 30));
    tokens.bench.pass(64_000);
  }
  const { n, e } = jwk as { n: string; e: string };
  const fixed = (member: object): object => ({ kty: "RSA", kid: "k1", n, e, ...member });
  const short = await publish("k1", "RS256", { modulusLength: 1024 }).catch(() => undefined);
  for (const [member, expected] of [
    [{ n: `${n}A` }, away],
    [{ e: "AA" }, away],
    [{ e: "AQ" }, away],
    [{ e: "AQAAAAAAAAE" }, away],
    [{ n: Buffer.alloc(255, 0xff).toString("base64url") }, away],
    [{ n: Buffer.alloc(513, 0xff).toString("base64url") }, away],
    [{ d: "AQAB" }, away],
    [{ use: "enc" }, invalid],
    [{ key_ops: ["sign"] }, invalid],
    [{ key_ops: ["verify", "sign"] }, [204]],
    [{ ext: 1 }, invalid],
    [{ alg: "RS512" }, invalid],
    [{ alg: "HS256" }, invalid],
    [{ kid: "k2" }, invalid],
    [{ kid: 1 }, invalid],
    [{ kty: "EC" }, invalid],
    [{ kty: "EC", crv: "P-256" }, invalid],
    [{}, [204]],
    ...(short === undefined ? [] : [[short.jwk, away] as const]),
  ] as const) {
    const fresh = await Tokens.create();
    fresh.keys(fixed(member));
    deepEqual(fresh.call(await fresh.sign(keys, "RS256")), expected, JSON.stringify(member).slice(0, 60));
  }
  const twice = await Tokens.create();
  twice.keys(jwk, jwk);
  deepEqual(twice.call(await twice.sign(keys, "RS256")), invalid, "two keys of one name");
  const unnamed = await Tokens.create();
  unnamed.keys(fixed({ kid: undefined }));
  deepEqual(unnamed.call(await unnamed.sign(keys, "RS256", {}, { kid: undefined })), [204], "the only key needs no name");
});

test("a point that is not on its curve verifies nothing", async () => {
  const { keys, jwk } = await publish("k1", "ES256");
  const tokens = await Tokens.create();
  const { x } = jwk as { x: string };
  tokens.keys({ ...jwk, y: x });
  deepEqual(tokens.call(await tokens.sign(keys, "ES256")), away);
});

test("verifying takes its share of the processor, and callers that are known go on", async () => {
  const { keys, jwk } = await publish("k1", "ES256");
  const tokens = await Tokens.create();
  tokens.keys(jwk);
  const known = await tokens.sign(keys, "ES256");
  deepEqual(tokens.call(known), [204]);
  // Only one look at the clock of each request takes a while, 20 ms: that at the end of a verification, whichever it is of them.
  const { host } = tokens.bench;
  let [nowUs, look, slow] = [host.nowUs, 0, 0];
  Object.defineProperty(host, "nowUs", { get: () => (nowUs += look++ === slow ? 20_000 : 0), set: (us: number) => (nowUs = us) });
  const wrong = (await tokens.sign(keys, "ES256")).replace(/.{8}$/, "AAAAAAAA");
  const found = new Set<string>();
  for (; slow < 20 && !found.has("MF_TOKENS_BUSY"); slow++)
    for (let turn = 0; turn < 50 && !found.has("MF_TOKENS_BUSY"); turn++) {
      look = 0;
      found.add(tokens.call(wrong)[1] ?? "");
    }
  deepEqual([...found], ["MF_TOKEN_INVALID", "MF_TOKENS_BUSY"]);
  deepEqual(tokens.call(known), [204]);
  nowUs += 1_000_000;
  deepEqual(tokens.call(wrong), invalid);
});

test("a service without tokens has none of their code, and refuses a frame that wants it", async () => {
  const bench = await ServiceBench.create({
    started: false,
    service: { auth: [[{ type: "jwt", header: "authorization", caller: undefined, secret: "http://x/", token }]] },
  });
  match(bench.host.console, /MF_STANDALONE_START/);
});
