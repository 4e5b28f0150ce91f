/** `crypto`: random values here, from the machine's seeded generator; `subtle` is a part of its own (web/subtle.ts). */
import { native } from "../machine.ts";

/** What one call of getRandomValues may ask for, in bytes (Web Cryptography API, §10.1.1). */
const mostRandomBytes = 65_536;

/** Two hexadecimal digits for each byte. */
export const hexPairs: readonly string[] = Array.from({ length: 256 }, (_none, byte) => byte.toString(16).padStart(2, "0"));

class Crypto {
  getRandomValues<T extends ArrayBufferView>(array: T): T {
    if (!ArrayBuffer.isView(array) || array instanceof DataView || array instanceof Float32Array || array instanceof Float64Array) {
      throw new DOMException("getRandomValues fills arrays of whole numbers only", "TypeMismatchError");
    }
    if (array.byteLength > mostRandomBytes) throw new DOMException(`getRandomValues gives at most ${mostRandomBytes} bytes at a time`, "QuotaExceededError");
    native.random(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return array;
  }

  /** A version 4 UUID (RFC 9562 §5.4). */
  randomUUID(): string {
    const bytes = new Uint8Array(16);
    native.random(bytes);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    let text = "";
    for (let index = 0; index < 16; index++) {
      if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
      text += hexPairs[bytes[index]!]!;
    }
    return text;
  }
}

export const crypto: Crypto = new Crypto();
