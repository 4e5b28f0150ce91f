/** The natives of crypto.subtle against Node's crypto: random keys, lengths and data, and what is damaged. */
import { equal, throws } from "node:assert/strict";
import * as node from "node:crypto";
import { test } from "node:test";
import { prng } from "#base";
import { seed } from "../../../../base/testing/seed.ts";
import { NativeMachine } from "../../testing/native-machine.ts";

const random = prng(seed);
const machine = new NativeMachine();
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random.below(256)));
const empty = Buffer.alloc(0);
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const web = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64url");
const padded = (value: Uint8Array, length: number): Buffer => Buffer.concat([Buffer.alloc(length - value.length), value]);

/** The result of a native: hexadecimal digits, "true", "false" or "undefined". */
function call(name: string, ...values: readonly (number | Uint8Array)[]): string {
  const given = values.map((value) => (typeof value === "number" ? String(value) : `Uint8Array.fromHex("${hex(value)}")`));
  return machine.string(
    machine.run(`(() => { const value = native.${name}(${given.join(",")}); return value?.toHex ? value.toHex() : String(value); })()`),
  );
}

const lengths = [0, 1, 15, 16, 17, 48, 63, 64, 65, 128, 1_000];

for (const bits of [128, 192, 256])
  test(`AES with ${bits} bits in each mode, of any length; a damaged tag or check is told`, () => {
    for (const length of lengths) {
      const [key, iv, data, more] = [bytes(bits / 8), bytes(16), bytes(length), bytes(length % 37)];
      const ctr = node.createCipheriv(`aes-${bits}-ctr`, key, iv);
      equal(call("aes", 2, key, iv, data, empty, 128), hex(Buffer.concat([ctr.update(data), ctr.final()])));
      const whole = data.subarray(0, length & ~15);
      const cbc = node.createCipheriv(`aes-${bits}-cbc`, key, iv).setAutoPadding(false);
      const sealed = Buffer.concat([cbc.update(whole), cbc.final()]);
      equal(call("aes", 0, key, iv, whole, empty, 0), hex(sealed));
      equal(call("aes", 1, key, iv, sealed, empty, 0), hex(whole));
      for (const ivLength of [12, 1, 16, 61]) {
        const gcmIv = bytes(ivLength);
        const gcm = node.createCipheriv(`aes-${bits}-gcm` as "aes-256-gcm", key, gcmIv);
        gcm.setAAD(more);
        const whole = Buffer.concat([gcm.update(data), gcm.final(), gcm.getAuthTag()]);
        equal(call("aes", 3, key, gcmIv, data, more, 16), hex(whole));
        equal(call("aes", 4, key, gcmIv, whole, more, 16), hex(data));
        whole[random.below(whole.length)]! ^= 1 << random.below(8);
        equal(call("aes", 4, key, gcmIv, whole, more, 16), "undefined");
      }
      if (whole.length === 0) continue;
      const wrap = node.createCipheriv(`id-aes${bits}-wrap`, key, Buffer.alloc(8, 0xa6));
      const wrapped = Buffer.concat([wrap.update(whole), wrap.final()]);
      equal(call("aes", 5, key, empty, whole, empty, 0), hex(wrapped));
      equal(call("aes", 6, key, empty, wrapped, empty, 0), hex(whole));
      wrapped[random.below(wrapped.length)]! ^= 1;
      equal(call("aes", 6, key, empty, wrapped, empty, 0), "undefined");
    }
  });

test("a counter of fewer bits wraps within them", () => {
  const [key, counter] = [bytes(16), Buffer.alloc(16, 0xff)];
  const blocks = (at: Buffer): Buffer => {
    const ecb = node.createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
    return Buffer.concat([ecb.update(at), ecb.final()]);
  };
  for (const bits of [1, 3, 8, 12, 31, 64]) {
    const next = BigInt.asUintN(128, (BigInt(`0x${hex(counter)}`) >> BigInt(bits)) << BigInt(bits));
    const second = Buffer.from(next.toString(16).padStart(32, "0"), "hex");
    equal(
      call("aes", 2, key, counter, Buffer.alloc(32), empty, bits),
      hex(Buffer.concat([blocks(counter), blocks(second)])),
      `${bits} bits`,
    );
  }
});

test("powers modulo odd numbers of any length", () => {
  for (let round = 0; round < 60; round++) {
    const length = 1 + random.below(140);
    const modulus = bytes(length);
    modulus[length - 1]! |= 1;
    const m = BigInt(`0x${hex(modulus)}`);
    if (m < 3n) continue;
    const base = BigInt(`0x${hex(bytes(length))}`) % m;
    const exponent = bytes(random.below(20));
    let [result, square] = [1n, base];
    for (let left = BigInt(`0x0${hex(exponent)}`); left > 0n; left >>= 1n) {
      if ((left & 1n) === 1n) result = (result * square) % m;
      square = (square * square) % m;
    }
    const text = (value: bigint): string => value.toString(16).padStart(2 * length, "0");
    equal(call("modularPower", Buffer.from(text(base), "hex"), exponent, modulus), text(result));
    if (random.below(4) === 0) equal(call("modularPower", modulus, exponent, modulus), "undefined");
  }
  throws(() => call("modularPower", bytes(2), bytes(1), Buffer.of(2, 4)), /TypeError/);
});

for (const bits of [1024, 1536, 2048, 2056])
  test(`RSA's private operation with ${bits} bits, and with parts that do not belong together`, () => {
    const { privateKey } = node.generateKeyPairSync("rsa", { modulusLength: bits });
    const { n, e, p, q, dp, dq, qi } = privateKey.export({ format: "jwk" });
    const modulus = web(n);
    const half = Math.max(web(p).length, web(q).length);
    const key = (...parts: readonly (string | undefined)[]): Buffer =>
      Buffer.concat([modulus, padded(web(e), modulus.length), ...parts.map((part) => padded(web(part), half))]);
    const input = bytes(modulus.length);
    input[0] = 0;
    const expected = node.privateDecrypt({ key: privateKey, padding: node.constants.RSA_NO_PADDING }, input);
    equal(call("rsaPrivate", key(p, q, dp, dq, qi), half, input), hex(expected));
    equal(call("rsaPrivate", key(q, p, dq, dp, qi), half, input), "undefined");
    equal(call("rsaPrivate", key(p, q, dq, dp, qi), half, input), "undefined");
    equal(call("modularPower", expected, web(e), modulus), hex(input));
  });

/** NIST SP 800-186: p, order and b; the base point is that of Node's keys with the scalar 1. */
const curves = {
  "P-256": {
    node: "prime256v1",
    hex: [
      "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
      "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
      "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    ],
  },
  "P-384": {
    node: "secp384r1",
    hex: [
      "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
      "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    ],
  },
  "P-521": {
    node: "secp521r1",
    hex: [
      `01${"ff".repeat(65)}`,
      `01${"ff".repeat(32)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`,
      "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    ],
  },
} as const;

for (const [name, { node: nodeName, hex: parts }] of Object.entries(curves))
  test(`${name}: multiples, signatures, agreement and compressed points, and damaged ones`, () => {
    const one = node.createECDH(nodeName);
    const size = parts[0].length / 2;
    one.setPrivateKey(padded(Buffer.of(1), size));
    const domain = Buffer.concat([Buffer.from(parts.join(""), "hex"), one.getPublicKey().subarray(1)]);
    const order = BigInt(`0x${parts[1]}`);
    const scalar = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(2 * size, "0"), "hex");
    for (const value of [0n, order, order + 1n]) equal(call("curve", 5, domain, scalar(value), empty, empty), "false");
    for (const value of [1n, order - 1n]) equal(call("curve", 5, domain, scalar(value), empty, empty), "true");
    equal(call("curve", 0, domain, scalar(order), empty, empty), "undefined", "the point at infinity");
    for (let round = 0; round < 4; round++) {
      const { privateKey, publicKey } = node.generateKeyPairSync("ec", { namedCurve: nodeName });
      const { d, x, y } = privateKey.export({ format: "jwk" });
      const secret = padded(web(d), size);
      const point = Buffer.concat([padded(web(x), size), padded(web(y), size)]);
      equal(call("curve", 0, domain, secret, empty, empty), hex(point));
      equal(call("curve", 3, domain, point, empty, empty), "true");
      equal(call("curve", 4, domain, point.subarray(0, size), Buffer.of(point[2 * size - 1]! & 1), empty), hex(point));
      const off = Buffer.from(point);
      off[size + random.below(size)]! ^= 1;
      equal(call("curve", 3, domain, off, empty, empty), "false");
      equal(call("curve", 0, domain, secret, off, empty), "undefined", "a multiple of what is no point");
      const data = bytes(100);
      const hash = padded(node.createHash("sha256").update(data).digest(), Math.max(size, 32)).subarray(0, size);
      const signature = node.sign("sha256", data, { key: privateKey, dsaEncoding: "ieee-p1363" });
      equal(call("curve", 2, domain, point, signature, hash), "true");
      const k = scalar((BigInt(`0x${hex(bytes(size))}`) % (order - 1n)) + 1n);
      const own = Buffer.from(call("curve", 1, domain, secret, k, hash), "hex");
      equal(node.verify("sha256", data, { key: publicKey, dsaEncoding: "ieee-p1363" }, own), true);
      signature[random.below(signature.length)]! ^= 1;
      equal(call("curve", 2, domain, point, signature, hash), "false");
      for (const bad of [scalar(0n), scalar(order)])
        for (const pair of [
          [bad, own.subarray(size)],
          [own.subarray(0, size), bad],
        ])
          equal(call("curve", 2, domain, point, Buffer.concat(pair), hash), "false");
      const other = node.createECDH(nodeName);
      other.generateKeys();
      const mine = node.createECDH(nodeName);
      mine.setPrivateKey(secret);
      equal(
        call("curve", 0, domain, secret, other.getPublicKey().subarray(1), empty).slice(0, 2 * size),
        hex(padded(mine.computeSecret(other.getPublicKey()), size)),
      );
    }
  });

test("X25519 and Ed25519 as Node has them; points of small order are refused", () => {
  for (let round = 0; round < 10; round++) {
    const [one, two] = [node.generateKeyPairSync("x25519"), node.generateKeyPairSync("x25519")];
    const shared = node.diffieHellman({ privateKey: one.privateKey, publicKey: two.publicKey });
    const x = web(two.publicKey.export({ format: "jwk" }).x);
    equal(call("edwards", 0, web(one.privateKey.export({ format: "jwk" }).d), x, empty), hex(shared));

    const pair = node.generateKeyPairSync("ed25519");
    const { d, x: open } = pair.privateKey.export({ format: "jwk" });
    const hash = node.createHash("sha512").update(web(d)).digest();
    const clamped = Buffer.from(hash.subarray(0, 32));
    clamped[0]! &= 248;
    clamped[31] = (clamped[31]! & 127) | 64;
    equal(call("edwards", 1, clamped, empty, empty), hex(web(open)));
    const data = bytes(round * 17);
    const signature = node.sign(null, data, pair.privateKey);
    const reduced = (...values: readonly Uint8Array[]): Buffer =>
      Buffer.from(call("edwards", 2, node.createHash("sha512").update(Buffer.concat(values)).digest(), empty, empty), "hex");
    const k = reduced(signature.subarray(0, 32), web(open), data);
    equal(call("edwards", 4, web(open), signature, k), "true");
    equal(call("edwards", 3, reduced(hash.subarray(32), data), k, clamped), hex(signature.subarray(32)));
    const bad = Buffer.from(signature);
    bad[random.below(64)]! ^= 1 << random.below(8);
    equal(call("edwards", 4, web(open), bad, k), "false");
  }
  const zero = Buffer.alloc(32);
  equal(call("edwards", 0, bytes(32), zero, empty), hex(zero));
  const neutral = Buffer.concat([Buffer.of(1), Buffer.alloc(31)]);
  equal(call("edwards", 4, neutral, Buffer.concat([neutral, zero]), zero), "false");
});

test("repetitions of HMAC as PBKDF2 needs them, with keys of any length", () => {
  for (const [number, name, size] of [
    [1, "sha1", 20],
    [256, "sha256", 32],
    [384, "sha384", 48],
    [512, "sha512", 64],
  ] as const)
    for (const length of [0, 1, 63, 64, 65, 127, 128, 129, 300]) {
      const key = bytes(length);
      const first = node
        .createHmac(name, key)
        .update(Buffer.of(1, 2, 0, 0, 0, 1))
        .digest();
      const expected = node.pbkdf2Sync(key, Buffer.of(1, 2), 8, size, name);
      const script = `(() => { const value = Uint8Array.fromHex("${hex(first)}"), sum = value.slice(); native.repeatHmac(${number}, Uint8Array.fromHex("${hex(key)}"), value, sum, 7); return sum.toHex(); })()`;
      equal(machine.string(machine.run(script)), hex(expected));
    }
});

test("what does not fit is a TypeError, not a read behind the end", () => {
  for (const script of [
    "native.aes(0, new Uint8Array(15), new Uint8Array(16), new Uint8Array(16), new Uint8Array(0), 0)",
    "native.aes(0, new Uint8Array(16), new Uint8Array(15), new Uint8Array(16), new Uint8Array(0), 0)",
    "native.aes(1, new Uint8Array(16), new Uint8Array(16), new Uint8Array(15), new Uint8Array(0), 0)",
    "native.aes(2, new Uint8Array(16), new Uint8Array(16), new Uint8Array(1), new Uint8Array(0), 129)",
    "native.aes(4, new Uint8Array(16), new Uint8Array(12), new Uint8Array(15), new Uint8Array(0), 16)",
    "native.aes(4, new Uint8Array(16), new Uint8Array(12), new Uint8Array(15), new Uint8Array(0), 17)",
    "native.aes(6, new Uint8Array(16), new Uint8Array(0), new Uint8Array(16), new Uint8Array(0), 0)",
    "native.aes(7, new Uint8Array(16), new Uint8Array(16), new Uint8Array(16), new Uint8Array(0), 0)",
    "native.aes(-1, new Uint8Array(16), new Uint8Array(16), new Uint8Array(16), new Uint8Array(0), 0)",
    "native.repeatHmac(256, new Uint8Array(1), new Uint8Array(31), new Uint8Array(32), 1)",
    "native.repeatHmac(256, new Uint8Array(1), new Uint8Array(32), new Uint8Array(32), 1001)",
    "native.repeatHmac(7, new Uint8Array(1), new Uint8Array(32), new Uint8Array(32), 1)",
    "native.modularPower(new Uint8Array(3), new Uint8Array(1), Uint8Array.of(1, 1))",
    "native.modularPower(new Uint8Array(1), new Uint8Array(1), new Uint8Array(0))",
    "native.rsaPrivate(new Uint8Array(10), 32, new Uint8Array(64))",
    "native.rsaPrivate(new Uint8Array(128 + 5 * 32), 32, new Uint8Array(64))",
    "native.curve(0, new Uint8Array(160), new Uint8Array(32), new Uint8Array(0), new Uint8Array(0))",
    "native.curve(9, new Uint8Array(160).fill(1), new Uint8Array(32), new Uint8Array(0), new Uint8Array(0))",
    "native.curve(0, new Uint8Array(5 * 67).fill(1), new Uint8Array(67), new Uint8Array(0), new Uint8Array(0))",
    "native.curve(1, new Uint8Array(160).fill(1), new Uint8Array(32), new Uint8Array(31), new Uint8Array(32))",
    "native.edwards(4, new Uint8Array(32), new Uint8Array(63), new Uint8Array(32))",
    "native.edwards(5, new Uint8Array(32), new Uint8Array(32), new Uint8Array(32))",
    "native.edwards(0, 'text', new Uint8Array(32), new Uint8Array(32))",
  ])
    equal(
      machine.string(machine.run(`(() => { try { ${script}; return "none"; } catch (error) { return error.name; } })()`)),
      "TypeError",
      script,
    );
});
