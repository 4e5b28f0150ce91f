/** Changes inputs by chance: the same generator gives the same changes. */
import { type Prng, toUtf8 } from "#base";

/** Longest input made, in bytes. */
const mostBytes = 1 << 20;
/** Changes to one input. */
const mostChanges = 6;
/** Bytes at the edges of encodings and numbers. */
const edges = [
  0, 1, 9, 10, 13, 32, 34, 44, 45, 47, 58, 60, 62, 92, 123, 125, 127, 128, 0xbf, 0xc0, 0xc3, 0xe2, 0xed, 0xef, 0xf4, 0xfe, 0xff,
];

type Change = (input: Uint8Array, random: Prng, pick: () => Uint8Array, words: readonly string[]) => Uint8Array;

function spliced(input: Uint8Array, at: number, taken: number, put: Uint8Array): Uint8Array {
  const out = new Uint8Array(input.length - taken + put.length);
  out.set(input.subarray(0, at));
  out.set(put, at);
  out.set(input.subarray(at + taken), at + put.length);
  return out;
}

/** A piece of the input: where it begins, and its length, mostly short. */
function piece(input: Uint8Array, random: Prng): { readonly at: number; readonly length: number } {
  const at = random.below(input.length + 1);
  const most = random.below(4) === 0 ? input.length - at : Math.min(16, input.length - at);
  return { at, length: random.below(most + 1) };
}

function withByte(input: Uint8Array, random: Prng, byte: (old: number) => number): Uint8Array {
  if (input.length === 0) return input;
  const out = new Uint8Array(input); // slice() of a Buffer shares its bytes
  const at = random.below(out.length);
  out[at] = byte(out[at] as number);
  return out;
}

const changes: readonly Change[] = [
  (input, random) => withByte(input, random, (old) => old ^ (1 << random.below(8))),
  (input, random) => withByte(input, random, () => random.below(256)),
  (input, random) => withByte(input, random, () => edges[random.below(edges.length)] as number),
  (input, random) => {
    const { at, length } = piece(input, random);
    return spliced(input, at, length, new Uint8Array(0));
  },
  (input, random) => {
    const { at, length } = piece(input, random);
    const times = 1 + random.below(random.below(8) === 0 ? 1000 : 4);
    const part = input.subarray(at, at + length);
    const repeated = new Uint8Array(Math.min(part.length * times, mostBytes));
    for (let done = 0; done < repeated.length; done += part.length) repeated.set(part.subarray(0, repeated.length - done), done);
    return spliced(input, at, 0, repeated);
  },
  (input, random, _pick, words) => {
    const { at, length } = piece(input, random);
    return spliced(input, at, random.below(2) * length, toUtf8(words[random.below(words.length)] ?? ""));
  },
  (input, random, pick) => {
    const other = pick();
    const [from, to] = [piece(other, random), piece(input, random)];
    return spliced(input, to.at, to.length, other.subarray(from.at, from.at + from.length));
  },
  (input, random) => {
    if (input.length < 4) return input;
    const out = new Uint8Array(input); // slice() of a Buffer shares its bytes
    const view = new DataView(out.buffer);
    const values = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, out.length, out.length - 1, random.uint32()];
    view.setUint32(random.below(out.length - 3), values[random.below(values.length)] as number, true);
    return out;
  },
];

/** `input` with one to six changes. `pick` gives another input to take pieces from. */
export function mutate(input: Uint8Array, random: Prng, pick: () => Uint8Array, words: readonly string[]): Uint8Array {
  let out = input;
  for (let left = 1 + random.below(mostChanges); left > 0; left--) {
    const change = changes[random.below(changes.length)] as Change;
    out = change(out, random, pick, words);
    if (out.length > mostBytes) out = out.subarray(0, mostBytes);
  }
  return out;
}
