/** The part `nodecrypto`: of Node's crypto what the machine's own hashes and generator give. */
import { kernel } from "../link.ts";
import { table } from "../table.ts";
import bufferModule from "./buffer.ts";
import { md5 } from "./md5.ts";

const { Buffer } = bufferModule;
const { native, requireHandler } = kernel;
type Data = string | ArrayBuffer | ArrayBufferView;
type Callback<T> = (error: null, value: T) => void;

interface Algorithm {
  digest(bytes: Uint8Array): Uint8Array;
  hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array;
}

const sha = (number: number): Algorithm => ({
  digest: (bytes) => native.digest(number, bytes),
  hmac: (key, bytes) => native.hmac(number, key, bytes),
});

/** HMAC (RFC 2104) over MD5, whose block has 64 bytes. */
function hmacMd5(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? md5(key) : key);
  const pad = (byte: number): Uint8Array => block.map((each) => each ^ byte);
  return md5(joined([pad(0x5c), md5(joined([pad(0x36), bytes]))]));
}

const algorithms: Readonly<Record<string, Algorithm>> = table({
  md5: { digest: md5, hmac: hmacMd5 },
  sha1: sha(1),
  sha256: sha(256),
  sha384: sha(384),
  sha512: sha(512),
});
const names = Object.keys(algorithms);

function algorithmOf(name: unknown): Algorithm {
  const found =
    algorithms[
      String(name)
        .toLowerCase()
        .replace(/^(?:rsa-)?sha-?(?=\d)/, "sha")
    ];
  if (found === undefined)
    throw Object.assign(
      new Error(`a machine has no digest ${JSON.stringify(name)}: use ${names.join(", ")}, or the package @noble/hashes`),
      {
        code: "ERR_CRYPTO_INVALID_DIGEST",
      },
    );
  return found;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes of its own: whoever gave them may change them. */
function bytesOf(data: unknown, encoding?: string): Uint8Array {
  if (typeof data === "string") return Buffer.from(data, encoding === "buffer" ? "utf8" : encoding);
  if (data instanceof KeyObject) return data.export();
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return kernel.viewBytes(data).slice();
  throw Object.assign(new TypeError('The "data" argument must be of type string or an instance of Buffer, TypedArray, or DataView'), {
    code: "ERR_INVALID_ARG_TYPE",
  });
}

function encoded(bytes: Uint8Array, encoding?: string): Uint8Array | string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as Uint8Array & { toString(encoding?: string): string };
  return encoding === undefined || encoding === "buffer" ? buffer : buffer.toString(encoding);
}

/** A key of bytes. */
export class KeyObject {
  readonly type = "secret";
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get symmetricKeySize(): number {
    return this.#bytes.length;
  }

  export(): Uint8Array {
    return Buffer.from(this.#bytes);
  }

  equals(other: KeyObject): boolean {
    return native.equal(this.#bytes, other.#bytes);
  }
}

/** Collects what it is given and makes of it, once, a digest. */
abstract class Collector {
  #parts: Uint8Array[] = [];
  #ended = false;

  protected abstract finish(bytes: Uint8Array): Uint8Array;

  protected get parts(): Uint8Array[] {
    return [...this.#parts];
  }

  protected set parts(parts: Uint8Array[]) {
    this.#parts = parts;
  }

  #check(): void {
    if (this.#ended) throw Object.assign(new Error("Digest already called"), { code: "ERR_CRYPTO_HASH_FINALIZED" });
  }

  update(data: Data, encoding?: string): this {
    this.#check();
    this.#parts.push(bytesOf(data, encoding));
    return this;
  }

  write(data: Data, encoding?: string): boolean {
    this.update(data, encoding);
    return true;
  }

  end(data?: Data, encoding?: string): this {
    return data === undefined ? this : this.update(data, encoding);
  }

  read(): Uint8Array | string {
    return this.digest();
  }

  digest(encoding?: string): Uint8Array | string {
    this.#check();
    this.#ended = true;
    return encoded(this.finish(this.#parts.length === 0 ? new Uint8Array(0) : joined(this.#parts)), encoding);
  }
}

class Hash extends Collector {
  readonly #algorithm: Algorithm;

  constructor(algorithm: Algorithm) {
    super();
    this.#algorithm = algorithm;
  }

  protected finish(bytes: Uint8Array): Uint8Array {
    return this.#algorithm.digest(bytes);
  }

  copy(): Hash {
    const copy = new Hash(this.#algorithm);
    copy.parts = this.parts;
    return copy;
  }
}

class Hmac extends Collector {
  readonly #algorithm: Algorithm;
  readonly #key: Uint8Array;

  constructor(algorithm: Algorithm, key: Uint8Array) {
    super();
    this.#algorithm = algorithm;
    this.#key = key;
  }

  protected finish(bytes: Uint8Array): Uint8Array {
    return this.#algorithm.hmac(this.#key, bytes);
  }
}

function randomBytes(size: number, callback?: Callback<Uint8Array>): Uint8Array | undefined {
  const bytes = Buffer.from(new Uint8Array(size));
  randomFill(bytes);
  if (callback === undefined) return bytes;
  queueMicrotask(() => callback(null, bytes));
  return undefined;
}
declare function queueMicrotask(task: () => void): void;

function randomFill<T extends ArrayBufferView>(array: T, offset = 0, size?: number): T {
  requireHandler("crypto.randomBytes");
  const bytes = kernel.viewBytes(array);
  native.random(bytes.subarray(offset, size === undefined ? bytes.length : offset + size));
  return array;
}

function randomInt(first: number, second?: number | Callback<number>): number {
  const [min, max] = typeof second === "number" ? [first, second] : [0, first];
  if (!(Number.isSafeInteger(min) && Number.isSafeInteger(max) && max > min && max - min <= 2 ** 48))
    throw new RangeError('The value of "max" is out of range: it must be greater than "min", by at most 2 ** 48');
  requireHandler("crypto.randomInt");
  return min + Math.floor(native.randomFloat() * (max - min));
}

const webCrypto = (): { randomUUID(): string; getRandomValues<T>(array: T): T; readonly subtle: unknown } =>
  (globalThis as unknown as { crypto: ReturnType<typeof webCrypto> }).crypto;

/** Functions that only Node has: they throw where they are called, not where they are imported. */
const missing = [
  ...["createCipheriv", "createDecipheriv", "createDiffieHellman", "createECDH", "createPrivateKey", "createPublicKey", "createSign"],
  ...["createVerify", "diffieHellman", "generateKeyPair", "generateKeyPairSync", "hkdf", "hkdfSync", "pbkdf2", "pbkdf2Sync"],
  ...["privateDecrypt", "privateEncrypt", "publicDecrypt", "publicEncrypt", "scrypt", "scryptSync", "sign", "verify"],
];
const absent = (name: string) => (): never => {
  throw new kernel.FlowError(
    "MF_NODE_API",
    `a machine has no crypto.${name}: use a package in plain JavaScript such as node-forge or @noble/curves, or an outlet that signs`,
    false,
  );
};

const node = {
  ...Object.fromEntries(missing.map((name) => [name, absent(name)])),
  createHash: (name: string): Hash => new Hash(algorithmOf(name)),
  createHmac: (name: string, key: Data | KeyObject): Hmac => new Hmac(algorithmOf(name), bytesOf(key)),
  createSecretKey: (key: Data, encoding?: string): KeyObject => new KeyObject(bytesOf(key, encoding)),
  hash: (name: string, data: Data, encoding = "hex"): Uint8Array | string => new Hash(algorithmOf(name)).update(data).digest(encoding),
  getHashes: (): string[] => [...names],
  Hash,
  Hmac,
  KeyObject,
  randomBytes,
  pseudoRandomBytes: randomBytes,
  randomFillSync: randomFill,
  randomInt,
  randomUUID: (): string => webCrypto().randomUUID(),
  getRandomValues: <T>(array: T): T => webCrypto().getRandomValues(array),
  timingSafeEqual(a: ArrayBuffer | ArrayBufferView, b: ArrayBuffer | ArrayBufferView): boolean {
    const [left, right] = [kernel.viewBytes(a), kernel.viewBytes(b)];
    if (left.length !== right.length)
      throw Object.assign(new RangeError("Input buffers must have the same byte length"), { code: "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH" });
    return native.equal(left, right);
  },
  constants: {},
  get webcrypto() {
    return webCrypto();
  },
  get subtle() {
    return webCrypto().subtle;
  },
};

export default node;
