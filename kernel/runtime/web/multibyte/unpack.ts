/**
 * Indexes of the Encoding Standard as texts (testing/make-tables.ts), and the tables that kernel/native/multibyte.ts reads. A text has for each
 * pointer in turn the code point itself, or, of the 91 signs from `#` to `~` without `\`:
 *
 *   a sign below 60     the code point before, and 1 to 60
 *   two signs           the code point before, and 61 to 2790: the first sign less 60, times 91, and the second
 *   ~ and two signs     as many code points as both say, each the next
 *   ! and two signs     as many pointers without one
 */
const signs = 91;
const near = 60;

function signOf(text: string, at: number): number {
  const code = text.charCodeAt(at) - 0x23;
  return code > 0x5c - 0x23 ? code - 1 : code;
}

/** Units of an index with a bit for each that stands for a code point of plane 2. */
export interface Index {
  readonly units: Uint16Array;
  readonly isPlane2: Uint8Array;
}

export function unpackIndex(text: string, pointers: number): Index {
  const units = new Uint16Array(pointers).fill(0xfffd);
  const isPlane2 = new Uint8Array((pointers + 7) >> 3);
  let pointer = 0;
  let last = 0;
  function put(code: number): void {
    last = code;
    units[pointer] = code;
    if (code > 0xffff) isPlane2[pointer >> 3]! |= 1 << (pointer & 7);
    pointer++;
  }
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at)!;
    at += code > 0xffff ? 2 : 1;
    if (code > 0x7e) {
      put(code);
      continue;
    }
    const sign = signOf(text, at - 1);
    if (code !== 0x21 && sign < near) {
      put(last + sign + 1);
      continue;
    }
    const next = signOf(text, at++);
    if (code !== 0x21 && code !== 0x7e) {
      put(last + (sign - near) * signs + next + near + 1);
      continue;
    }
    const count = next * signs + signOf(text, at++);
    if (code === 0x21) pointer += count;
    else for (let each = 0; each < count; each++) put(last + 1);
  }
  return { units, isPlane2 };
}

/** The bytes of several views, one behind another; little endian, as the machine and all of Node's computers are. */
export function joinViews(...views: readonly ArrayBufferView[]): Uint8Array {
  const bytes = new Uint8Array(views.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const { buffer, byteOffset, byteLength } of views) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return bytes;
}
