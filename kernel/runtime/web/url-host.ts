/** Hosts of URLs: domains, IPv4 and IPv6 addresses (URL Standard, §3). Each parser answers undefined for what is no host. */

type Bytes = Uint8Array;
export interface Utf8 {
  encode(text: string): Bytes;
  decode(bytes: Bytes): string;
}

const percentPair = /%([0-9A-Fa-f]{2})/;

/** Percent-decodes; what is not a pair of digits stays as it is. */
export function percentDecode(text: string, utf8: Utf8): string {
  if (!percentPair.test(text)) return text;
  const bytes = utf8.encode(text);
  const out = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const pair =
      bytes[at] === 0x25 && at + 2 < bytes.length ? Number.parseInt(String.fromCharCode(bytes[at + 1]!, bytes[at + 2]!), 16) : Number.NaN;
    const isPair = pair === pair && /^[0-9A-Fa-f]{2}$/.test(String.fromCharCode(bytes[at + 1]!, bytes[at + 2]!));
    out[length++] = isPair ? pair : bytes[at]!;
    if (isPair) at += 2;
  }
  return utf8.decode(out.subarray(0, length));
}

/** Percent-encodes what `set`, an expression with the flags gu, matches. */
export function percentEncode(text: string, set: RegExp, utf8: Utf8): string {
  return text.replace(set, (found) => {
    let out = "";
    for (const byte of utf8.encode(found))
      out += byte < 16 ? `%0${byte.toString(16).toUpperCase()}` : `%${byte.toString(16).toUpperCase()}`;
    return out;
  });
}

const controls = /[^\x20-\x7e]/gu;
const forbiddenInHost = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const forbiddenInDomain = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;

/** Punycode of the part of a domain between two dots (RFC 3492, §6.3), or undefined when its numbers get too large. */
function punycode(label: string): string | undefined {
  const points = Array.from(label, (character) => character.codePointAt(0)!);
  let out = points
    .filter((point) => point < 0x80)
    .map((point) => String.fromCharCode(point))
    .join("");
  const basic = out.length;
  let handled = basic;
  if (basic > 0) out += "-";
  let point = 0x80;
  let delta = 0;
  let bias = 72;
  while (handled < points.length) {
    const next = Math.min(...points.filter((candidate) => candidate >= point));
    delta += (next - point) * (handled + 1);
    if (delta > 0x7fff_ffff) return undefined;
    point = next;
    for (const candidate of points) {
      if (candidate < point) delta++;
      if (candidate !== point) continue;
      out += digitsOf(delta, bias);
      bias = adapt(delta, handled + 1, handled === basic);
      delta = 0;
      handled++;
    }
    delta++;
    point++;
  }
  return out;
}

function digitsOf(delta: number, bias: number): string {
  let out = "";
  let rest = delta;
  for (let step = 36; ; step += 36) {
    const threshold = step <= bias ? 1 : step >= bias + 26 ? 26 : step - bias;
    if (rest < threshold) return out + rest.toString(36).replace(/./, punycodeDigit);
    out += (threshold + ((rest - threshold) % (36 - threshold))).toString(36).replace(/./, punycodeDigit);
    rest = Math.floor((rest - threshold) / (36 - threshold));
  }
}

/** Punycode counts a…z before 0…9, JavaScript the other way round. */
function punycodeDigit(digit: string): string {
  const value = Number.parseInt(digit, 36);
  return value < 26 ? String.fromCharCode(97 + value) : String.fromCharCode(22 + value);
}

function adapt(delta: number, count: number, first: boolean): number {
  let rest = first ? Math.floor(delta / 700) : delta >> 1;
  rest += Math.floor(rest / count);
  let bias = 0;
  for (; rest > 455; bias += 36) rest = Math.floor(rest / 35);
  return bias + Math.floor((36 * rest) / (rest + 38));
}

/** Reads Punycode (RFC 3492, §6.2); undefined if it is malformed. */
function fromPunycode(code: string): string | undefined {
  const dash = code.lastIndexOf("-");
  const points = Array.from(code.slice(0, Math.max(dash, 0)), (character) => character.charCodeAt(0));
  let point = 0x80;
  let index = 0;
  let bias = 72;
  for (let at = dash + 1; at < code.length; ) {
    const before = index;
    let weight = 1;
    for (let step = 36; ; step += 36) {
      const digit = punycodeValue(code.charCodeAt(at++));
      index += digit * weight;
      if (!(index <= 0x7fff_ffff)) return undefined; // NaN as well
      const threshold = step <= bias ? 1 : step >= bias + 26 ? 26 : step - bias;
      if (digit < threshold) break;
      weight *= 36 - threshold;
    }
    bias = adapt(index - before, points.length + 1, before === 0);
    point += Math.floor(index / (points.length + 1));
    index %= points.length + 1;
    if (point > 0x10_ffff) return undefined;
    points.splice(index++, 0, point);
  }
  return points.map((each) => String.fromCodePoint(each)).join("");
}

/** The value of a lower-case digit's code; NaN for what is no digit. */
function punycodeValue(code: number): number {
  if (code >= 0x61 && code <= 0x7a) return code - 0x61;
  return code >= 0x30 && code <= 0x39 ? code - 22 : Number.NaN;
}

/** Folds as IDNA's mapping does, but for characters that only its own table maps. */
function folded(domain: string): string {
  return domain
    .replace(/[\u00ad\u200b\u2060\ufeff]/g, "")
    .normalize("NFKC")
    .toLowerCase()
    .normalize("NFC")
    .replace(/\u3002/g, ".");
}

/** Not assigned, for private use, controls, surrogates and spaces: IDNA allows none of them, in no version. */
const neverInDomain = /[\p{Cc}\p{Cn}\p{Co}\p{Cs}\p{Z}\ufffd]/u;

/** A label that somebody has written in Punycode must be what folding makes of its text. */
function isLabel(label: string): boolean {
  if (!label.startsWith("xn--")) return true;
  const text = fromPunycode(label.slice(4));
  return text !== undefined && /[^\0-\x7f]/.test(text) && !neverInDomain.test(text) && folded(text) === text;
}

/** ASCII form of a domain. Labels that are not ASCII are folded and written in Punycode; IDNA's tables of validity are not consulted. */
function domainToAscii(domain: string): string | undefined {
  const labels = (/[^\0-\x7f]/.test(domain) ? folded(domain) : domain.toLowerCase()).split(".");
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]!;
    if (!/[^\0-\x7f]/.test(label)) {
      if (!isLabel(label)) return undefined;
      continue;
    }
    const code = label.startsWith("xn--") || neverInDomain.test(label) ? undefined : punycode(label);
    if (code === undefined) return undefined;
    labels[index] = `xn--${code}`;
  }
  return labels.join(".");
}

/** A number of an IPv4 address; NaN if it is malformed. */
function ipv4Number(text: string): number {
  if (text === "") return Number.NaN;
  if (/^0[xX][0-9a-fA-F]*$/.test(text)) return text.length === 2 ? 0 : Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : Number.NaN;
}

/** undefined: the domain is not an IPv4 address; null: it ends in a number and so must be one, and is not. */
function ipv4(domain: string): string | null | undefined {
  const parts = domain.split(".");
  if (parts.length > 1 && parts.at(-1) === "") parts.pop();
  const last = parts.at(-1)!;
  if (!/^[0-9]+$/.test(last) && !/^0[xX][0-9a-fA-F]*$/.test(last)) return undefined;
  if (parts.length > 4) return null;
  let address = 0;
  for (let index = 0; index < parts.length; index++) {
    const value = ipv4Number(parts[index]!);
    const isLast = index === parts.length - 1;
    if (!(value < (isLast ? 256 ** (5 - parts.length) : 256))) return null;
    address += isLast ? value : value * 256 ** (3 - index);
  }
  return `${Math.floor(address / 2 ** 24)}.${Math.floor(address / 2 ** 16) % 256}.${Math.floor(address / 256) % 256}.${address % 256}`;
}

/** Eight pieces of an IPv6 address. */
function ipv6Pieces(text: string): number[] | undefined {
  let source = text;
  const dotted = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(source);
  if (dotted !== null) {
    const bytes = dotted.slice(2).map(Number);
    if (bytes.some((byte, index) => byte > 255 || String(byte) !== dotted[index + 2])) return undefined;
    source = `${dotted[1]!}${((bytes[0]! << 8) | bytes[1]!).toString(16)}:${((bytes[2]! << 8) | bytes[3]!).toString(16)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return undefined;
  const [front, back] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const given = front!.length + (back?.length ?? 0);
  if (back === undefined ? given !== 8 : given > 7) return undefined;
  const all = back === undefined ? front! : [...front!, ...Array<string>(8 - given).fill("0"), ...back];
  return all.every((piece) => /^[0-9a-fA-F]{1,4}$/.test(piece)) ? all.map((piece) => Number.parseInt(piece, 16)) : undefined;
}

/** The address with its longest run of two or more zeros shortened. */
function ipv6Text(pieces: readonly number[]): string {
  let start = -1;
  let longest = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && pieces[to] === 0) to++;
    if (to - from > longest) {
      longest = to - from;
      start = from;
    }
  }
  const hex = pieces.map((piece) => piece.toString(16));
  if (start < 0) return `[${hex.join(":")}]`;
  return `[${hex.slice(0, start).join(":")}::${hex.slice(start + longest).join(":")}]`;
}

/** A host as it stands in a URL, or undefined. */
export function parseHost(text: string, special: boolean, utf8: Utf8): string | undefined {
  if (text.startsWith("[")) {
    const pieces = text.endsWith("]") ? ipv6Pieces(text.slice(1, -1)) : undefined;
    return pieces === undefined ? undefined : ipv6Text(pieces);
  }
  if (!special) return forbiddenInHost.test(text) ? undefined : percentEncode(text, controls, utf8);
  const domain = domainToAscii(percentDecode(text, utf8));
  if (domain === undefined || domain === "" || forbiddenInDomain.test(domain)) return undefined;
  const address = ipv4(domain);
  return address === null ? undefined : (address ?? domain);
}
