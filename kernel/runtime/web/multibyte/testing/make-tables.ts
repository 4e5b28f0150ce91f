/** Makes indexes.ts of the Encoding Standard's indexes, as the package @exodus/bytes decodes by them. */
import { TextDecoder } from "@exodus/bytes/encoding.js";

/** Signs of unpack.ts. */
const signs = Array.from({ length: 92 }, (_, index) => String.fromCharCode(0x23 + index)).filter((sign) => sign !== "\\");
const mostCount = signs.length ** 2 - 1;
const leastRun = 4;

type Points = readonly (number | undefined)[];

function two(value: number): string {
  return `${signs[Math.floor(value / signs.length)]}${signs[value % signs.length]}`;
}

/** How many of the code points from `at` on follow one another, the first `code`. */
function runFrom(points: Points, at: number, code: number | undefined): number {
  let count = 0;
  while (count < mostCount && at + count < points.length && points[at + count] === (code === undefined ? code : code + count)) count++;
  return count;
}

function written(code: number): string {
  const text = String.fromCodePoint(code);
  return /[\p{C}\p{Z}\p{M}]/u.test(text) ? `\\u{${code.toString(16)}}` : text;
}

/** The text that unpack.ts reads, escaped for a literal. */
export function pack(points: Points): string {
  let text = "";
  let last = 0;
  for (let at = 0; at < points.length; ) {
    const code = points[at];
    const run = runFrom(points, at, code === undefined ? code : last + 1);
    if (code === undefined || run >= leastRun) {
      text += (code === undefined ? "!" : "~") + two(run);
      at += run;
      last += code === undefined ? 0 : run;
      continue;
    }
    const more = code - last;
    if (more >= 1 && more <= 60) text += signs[more - 1];
    else if (more > 60 && more <= 60 + 30 * signs.length) text += two(60 * signs.length + more - 61);
    else text += written(code);
    last = code;
    at++;
  }
  return text.replaceAll('"', '\\"');
}

/** The code points of an index: `bytesOf` gives the bytes of a pointer. */
function pointsOf(name: string, pointers: number, bytesOf: (pointer: number) => readonly number[]): Points {
  const decoder = new TextDecoder(name);
  return Array.from({ length: pointers }, (_, pointer) => {
    const text = decoder.decode(Uint8Array.from(bytesOf(pointer)));
    return text.includes("\ufffd") || [...text].length > 1 ? undefined : text.codePointAt(0);
  });
}

const skip = (trail: number, from: number, to: number): number => (trail < from ? trail : trail + to - from);

function shiftJisBytes(pointer: number): number[] {
  const lead = Math.floor(pointer / 188);
  return [lead + (lead < 0x1f ? 0x81 : 0xc1), skip((pointer % 188) + 0x40, 0x7f, 0x80)];
}

/** Private characters have pointers of Shift_JIS that are not in the index. */
function jis0208(): Points {
  return pointsOf("shift_jis", 11104, shiftJisBytes).map((code) =>
    code !== undefined && code >= 0xe000 && code < 0xf900 ? undefined : code,
  );
}

/** Ranges of GB18030's characters of four bytes, as differences: pointers and code points of each from the one before. */
function gbRanges(): string {
  const decoder = new TextDecoder("gb18030");
  const bytesOf = (pointer: number): number[] => [
    0x81 + Math.floor(pointer / 12600),
    0x30 + (Math.floor(pointer / 1260) % 10),
    0x81 + (Math.floor(pointer / 10) % 126),
    0x30 + (pointer % 10),
  ];
  const ranges: [pointer: number, code: number][] = [];
  for (let pointer = 0; pointer <= 189000; pointer = pointer === 39419 ? 189000 : pointer + 1) {
    const code = decoder.decode(Uint8Array.from(bytesOf(pointer))).codePointAt(0)!;
    const last = ranges.at(-1);
    // The one character that a later edition moved (index gb18030 ranges, step 2).
    if (pointer !== 7457 && (last === undefined || code - last[1] !== pointer - last[0])) ranges.push([pointer, code]);
  }
  return ranges
    .map(([pointer, code], index) => {
      const [before, codeBefore] = ranges[index - 1] ?? [0, 0];
      return `${(pointer - before).toString(36)} ${(code - codeBefore).toString(36)}`;
    })
    .join(",");
}

/** The text of indexes.ts. */
export function makeIndexes(): string {
  const gb = pointsOf("gb18030", 23940, (pointer) => [0x81 + Math.floor(pointer / 190), skip((pointer % 190) + 0x40, 0x7f, 0x80)]);
  const big5 = pointsOf("big5", 19782, (pointer) => [0x81 + Math.floor(pointer / 157), skip((pointer % 157) + 0x40, 0x7f, 0xa1)]);
  const jis0212 = pointsOf("euc-jp", 7211, (pointer) => [0x8f, 0xa1 + Math.floor(pointer / 94), 0xa1 + (pointer % 94)]);
  const korean = pointsOf("euc-kr", 23750, (pointer) => [0x81 + Math.floor(pointer / 190), 0x41 + (pointer % 190)]);
  return `/** Made by testing/make-tables.ts (UPDATE=1 npm test -- web/multibyte); unpack.ts explains it. */
export const gb18030: string =
  "${pack(gb)}";
/** Ranges of its four bytes: differences of pointers and code points, in base 36. */
export const gb18030Ranges: string =
  "${gbRanges()}";
export const big5: string =
  "${pack(big5)}";
export const jis0208: string =
  "${pack(jis0208())}";
export const jis0212: string =
  "${pack(jis0212)}";
export const korean: string =
  "${pack(korean)}";
`;
}
