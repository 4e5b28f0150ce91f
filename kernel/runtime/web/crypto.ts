/** The part `crypto`: random values, from the machine's seeded generator; `subtle` is a part of its own (web/subtle.ts). */
import { kernel } from "../link.ts";
import { expose } from "./interface.ts";

const { native, requireHandler } = kernel;

/** Maximum of one call of getRandomValues, in bytes (Web Cryptography API, §10.1.1). */
const mostRandomBytes = 65_536;

/** The engine has it; the library of ES2023 does not know it yet. */
type HexBytes = Uint8Array & { toHex(): string };

class Crypto {
  getRandomValues<T extends ArrayBufferView>(array: T): T {
    if (!ArrayBuffer.isView(array) || array instanceof DataView || array instanceof Float32Array || array instanceof Float64Array) {
      throw new DOMException("getRandomValues fills arrays of whole numbers only", "TypeMismatchError");
    }
    if (array.byteLength > mostRandomBytes)
      throw new DOMException(`getRandomValues gives at most ${mostRandomBytes} bytes at a time`, "QuotaExceededError");
    requireHandler("crypto.getRandomValues");
    native.random(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return array;
  }

  /** A version 4 UUID (RFC 9562 §5.4). */
  randomUUID(): string {
    requireHandler("crypto.randomUUID");
    const bytes = new Uint8Array(16);
    native.random(bytes);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const text = (bytes as HexBytes).toHex();
    return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
  }
}

export const crypto: Crypto = new Crypto();

expose("Crypto", Crypto);
kernel.define("crypto", crypto);
