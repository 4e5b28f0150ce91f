/** MD5 (RFC 1321): for checksums that others ask for, such as Content-MD5 and UUIDs of version 3. It protects nothing. */

/** Bits each step of a round rotates by (§3.4). */
const rotations = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
];
const sines = Uint32Array.from({ length: 64 }, (_, index) => Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32));

/** One 64-byte block into the state of four words. */
function mix(state: Uint32Array, words: DataView, at: number): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  for (let index = 0; index < 64; index++) {
    const round = index >> 4;
    let mixed = 0;
    let word = index;
    if (round === 0) mixed = (b & c) | (~b & d);
    else if (round === 1) [mixed, word] = [(d & b) | (~d & c), (5 * index + 1) & 15];
    else if (round === 2) [mixed, word] = [b ^ c ^ d, (3 * index + 5) & 15];
    else [mixed, word] = [c ^ (b | ~d), (7 * index) & 15];
    const sum = (a + mixed + sines[index]! + words.getUint32(at + 4 * word, true)) | 0;
    const bits = rotations[round]![index & 3]!;
    [a, d, c, b] = [d, c, b, (b + ((sum << bits) | (sum >>> (32 - bits)))) | 0];
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}

export function md5(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const words = new DataView(padded.buffer);
  words.setUint32(padded.length - 8, (bytes.length << 3) >>> 0, true);
  words.setUint32(padded.length - 4, Math.floor(bytes.length / 2 ** 29), true);
  const state = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let at = 0; at < padded.length; at += 64) mix(state, words, at);
  const digest = new DataView(new ArrayBuffer(16));
  state.forEach((word, index) => digest.setUint32(4 * index, word, true));
  return new Uint8Array(digest.buffer);
}
