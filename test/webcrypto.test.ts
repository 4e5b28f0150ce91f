/** crypto.subtle of a machine beside Node's own: what one signs, seals or exports the other takes. */
import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import type { webcrypto } from "node:crypto";
import { test } from "node:test";
import { flowMachine } from "./conformance/machine.ts";

const { subtle } = globalThis.crypto;
type Algorithm = Record<string, unknown> & { readonly name: string };

/** Runs a flow's body in a machine; it finds the message's JSON as `given`. */
async function inside(body: string, given: unknown = {}): Promise<unknown> {
  const machine = await flowMachine(`import { flow } from "mayfly";
const hex = (bytes) => new Uint8Array(bytes).toHex();
const unhex = (text) => Uint8Array.fromHex(text);
export default flow(async (msg) => { const given = msg.json(); ${body} });`);
  try {
    const { reply, failure } = await machine.run(Buffer.from(JSON.stringify(given)), "application/json");
    ok(reply !== undefined, String(failure));
    return JSON.parse(reply);
  } finally {
    await machine.close();
  }
}

const hex = (bytes: ArrayBuffer | Uint8Array): string => Buffer.from(bytes as ArrayBuffer).toString("hex");
const data = Buffer.from("order 4711");

const signers: readonly { readonly key: Algorithm; readonly use?: Algorithm }[] = [
  { key: { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" } },
  {
    key: { name: "RSA-PSS", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-384" },
    use: { name: "RSA-PSS", saltLength: 32 },
  },
  { key: { name: "ECDSA", namedCurve: "P-256" }, use: { name: "ECDSA", hash: "SHA-256" } },
  { key: { name: "ECDSA", namedCurve: "P-384" }, use: { name: "ECDSA", hash: "SHA-512" } },
  { key: { name: "ECDSA", namedCurve: "P-521" }, use: { name: "ECDSA", hash: "SHA-512" } },
  { key: { name: "Ed25519" } },
  { key: { name: "HMAC", hash: "SHA-256" } },
];

for (const { key, use = { name: key.name } } of signers)
  test(`${key.name} ${String(key["namedCurve"] ?? key["hash"] ?? "")}: signed here and verified there, and the other way round`, async () => {
    const made = (await subtle.generateKey(key as never, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair | webcrypto.CryptoKey;
    const [own, open] = "privateKey" in made ? [made.privateKey, made.publicKey] : [made, made];
    const given = {
      own: await subtle.exportKey("jwk", own),
      open: await subtle.exportKey("jwk", open),
      signature: hex(await subtle.sign(use as never, own, data)),
      data: hex(data),
    };
    const { publicExponent: _, ...importing } = key;
    const result = (await inside(
      `const own = await crypto.subtle.importKey("jwk", given.own, ${JSON.stringify(importing)}, true, ["sign"]);
       const open = await crypto.subtle.importKey("jwk", given.open, ${JSON.stringify(importing)}, true, ["verify"]);
       const data = unhex(given.data), signature = unhex(given.signature);
       const bad = signature.slice(); bad[3] ^= 1;
       const use = ${JSON.stringify(use)};
       return {
         verified: await crypto.subtle.verify(use, open, signature, data),
         refused: [await crypto.subtle.verify(use, open, bad, data), await crypto.subtle.verify(use, open, signature, data.slice(1))],
         signature: hex(await crypto.subtle.sign(use, own, data)),
         own: await crypto.subtle.exportKey("jwk", own), open: await crypto.subtle.exportKey("jwk", open),
         der: own.type === "secret" ? null : [hex(await crypto.subtle.exportKey("pkcs8", own)), hex(await crypto.subtle.exportKey("spki", open))],
       };`,
      given,
    )) as {
      verified: boolean;
      refused: boolean[];
      signature: string;
      own: webcrypto.JsonWebKey;
      open: webcrypto.JsonWebKey;
      der: string[] | null;
    };
    deepEqual([result.verified, result.refused], [true, [false, false]]);
    equal(await subtle.verify(use as never, open, Buffer.from(result.signature, "hex"), data), true);
    for (const part of ["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y", "crv", "k", "kty"] as const)
      equal(result.own[part], given.own[part], part);
    if (result.der === null) return;
    equal(result.der[0], hex(await subtle.exportKey("pkcs8", own)));
    equal(result.der[1], hex(await subtle.exportKey("spki", open)));
  });

test("what is sealed there is opened here, and the other way round; secrets are agreed on and derived alike", async () => {
  const rsa = await subtle.generateKey(
    { name: "RSA-OAEP", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
    true,
    ["encrypt", "decrypt"],
  );
  const ec = { name: "ECDH", namedCurve: "P-256" };
  const [one, two] = [await subtle.generateKey(ec, true, ["deriveBits"]), await subtle.generateKey(ec, true, ["deriveBits"])];
  const aes = await subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "decrypt"]);
  const iv = Uint8Array.from({ length: 12 }, (_, index) => index);
  const given = {
    rsa: await subtle.exportKey("jwk", rsa.privateKey),
    rsaOpen: await subtle.exportKey("jwk", rsa.publicKey),
    sealed: hex(await subtle.encrypt({ name: "RSA-OAEP" }, rsa.publicKey, data)),
    one: await subtle.exportKey("jwk", one.privateKey),
    two: await subtle.exportKey("jwk", two.publicKey),
    aes: hex(await subtle.exportKey("raw", aes)),
    gcm: hex(await subtle.encrypt({ name: "AES-GCM", iv, additionalData: data }, aes, data)),
    data: hex(data),
    iv: hex(iv),
  };
  const result = (await inside(
    `const { subtle } = crypto;
     const data = unhex(given.data), iv = unhex(given.iv);
     const rsa = { name: "RSA-OAEP", hash: "SHA-256" };
     const own = await subtle.importKey("jwk", given.rsa, rsa, false, ["decrypt"]);
     const open = await subtle.importKey("jwk", given.rsaOpen, rsa, false, ["encrypt"]);
     const one = await subtle.importKey("jwk", given.one, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
     const two = await subtle.importKey("jwk", given.two, { name: "ECDH", namedCurve: "P-256" }, false, []);
     const aes = await subtle.importKey("raw", unhex(given.aes), "AES-GCM", false, ["encrypt", "decrypt"]);
     const password = await subtle.importKey("raw", data, "PBKDF2", false, ["deriveBits", "deriveKey"]);
     const hkdf = await subtle.importKey("raw", data, "HKDF", false, ["deriveBits"]);
     const gcm = { name: "AES-GCM", iv, additionalData: data };
     const damaged = unhex(given.gcm); damaged[0] ^= 1;
     return {
       opened: [hex(await subtle.decrypt(rsa, own, unhex(given.sealed))), hex(await subtle.decrypt(gcm, aes, unhex(given.gcm)))],
       sealed: hex(await subtle.encrypt(rsa, open, data)), gcm: hex(await subtle.encrypt(gcm, aes, data)),
       agreed: hex(await subtle.deriveBits({ name: "ECDH", public: two }, one, 256)),
       pbkdf2: hex(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: iv, iterations: 2500 }, password, 384)),
       hkdf: hex(await subtle.deriveBits({ name: "HKDF", hash: "SHA-512", salt: iv, info: data }, hkdf, 520)),
       damaged: await subtle.decrypt(gcm, aes, damaged).catch((error) => error.name),
       hidden: await subtle.exportKey("raw", aes).catch((error) => error.name),
       keys: Object.getOwnPropertyNames(CryptoKey).sort(), made: (() => { try { new CryptoKey({}); } catch (error) { return error.name; } })(),
     };`,
    given,
  )) as Record<string, unknown>;
  deepEqual(result["opened"], [hex(data), hex(data)]);
  equal(hex(await subtle.decrypt({ name: "RSA-OAEP" }, rsa.privateKey, Buffer.from(result["sealed"] as string, "hex"))), hex(data));
  equal(result["gcm"], given.gcm);
  equal(result["agreed"], hex(await subtle.deriveBits({ name: "ECDH", public: two.publicKey }, one.privateKey, 256)));
  const password = await subtle.importKey("raw", data, "PBKDF2", false, ["deriveBits"]);
  equal(result["pbkdf2"], hex(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: iv, iterations: 2500 }, password, 384)));
  const hkdf = await subtle.importKey("raw", data, "HKDF", false, ["deriveBits"]);
  equal(result["hkdf"], hex(await subtle.deriveBits({ name: "HKDF", hash: "SHA-512", salt: iv, info: data }, hkdf, 520)));
  deepEqual([result["damaged"], result["hidden"]], ["OperationError", "InvalidAccessError"]);
  deepEqual([result["keys"], result["made"]], [["length", "name", "prototype"], "TypeError"], "the class gives nobody a key's bytes");
});

test("keys that are made in a machine are real ones, and the same for the same message", async () => {
  const body = `const made = await crypto.subtle.generateKey(given.algorithm, true, ["sign", "verify"]);
    const signature = await crypto.subtle.sign(given.use, made.privateKey, unhex(given.data));
    return { open: await crypto.subtle.exportKey("jwk", made.publicKey), signature: hex(signature), names: "RSA-PSS ECDSA Ed25519" };`;
  for (const [algorithm, use] of [
    [
      { name: "ECDSA", namedCurve: "P-384" },
      { name: "ECDSA", hash: "SHA-384" },
    ],
    [{ name: "Ed25519" }, { name: "Ed25519" }],
  ] as const) {
    const given = { algorithm, use, data: hex(data) };
    const [first, second] = (await Promise.all([inside(body, given), inside(body, given)])) as {
      open: webcrypto.JsonWebKey;
      signature: string;
    }[];
    ok(first !== undefined && second !== undefined);
    const open = await subtle.importKey("jwk", first.open, algorithm, false, ["verify"]);
    equal(await subtle.verify(use, open, Buffer.from(first.signature, "hex"), data), true);
    deepEqual(second.open, first.open);
  }
});

/** RFC 6979, A.2.5: P-256 with SHA-256, the message "sample". */
test("signatures of ECDSA follow from key and text alone: two texts under one seed never share a secret number", async () => {
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: Buffer.from("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", "hex").toString("base64url"),
    x: Buffer.from("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6", "hex").toString("base64url"),
    y: Buffer.from("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "hex").toString("base64url"),
  };
  const signatures = (await inside(
    `const key = await crypto.subtle.importKey("jwk", given, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
     const sign = async (text) => hex(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, new TextEncoder().encode(text)));
     return [await sign("sample"), await sign("test"), await sign("sample")];`,
    jwk,
  )) as string[];
  equal(
    signatures[0],
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
  );
  equal(signatures[2], signatures[0]);
  notEqual(signatures[1]?.slice(0, 64), signatures[0]?.slice(0, 64));
});

test("an algorithm that the flow does not name says how to have it; one that nobody has says so", async () => {
  const [unlinked, unknown] = (await inside(
    `const name = (algorithm) => crypto.subtle.generateKey(algorithm, true, ["sign"]).catch((error) => error.name + ": " + error.message);
     return [await name({ name: given.name, length: 128 }), await name({ name: "ROT13" })];`,
    { name: ["AES", "GCM"].join("-") },
  )) as string[];
  ok(unlinked?.includes("is not linked into this image") === true, unlinked);
  ok(unknown?.startsWith("NotSupportedError: ROT13") === true, unknown);
});
