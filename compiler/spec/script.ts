/** Splits a .wast script of the core test suite into expressions; modules stay text for wabt. */

export interface Expression {
  readonly items: readonly (string | Expression)[];
  readonly start: number;
  readonly end: number;
}

export function head(expression: Expression): string {
  return typeof expression.items[0] === "string" ? expression.items[0] : "";
}

export function parseScript(text: string): Expression[] {
  let at = 0;
  const skip = (): void => {
    for (;;) {
      const c = text[at];
      if (c === " " || c === "\n" || c === "\t" || c === "\r") at++;
      else if (text.startsWith(";;", at)) {
        const end = text.indexOf("\n", at);
        at = end < 0 ? text.length : end;
      } else if (text.startsWith("(;", at)) {
        let depth = 1;
        at += 2;
        while (depth > 0 && at < text.length) {
          if (text.startsWith("(;", at)) depth++;
          else if (text.startsWith(";)", at)) depth--;
          else {
            at++;
            continue;
          }
          at += 2;
        }
      } else return;
    }
  };
  const atom = (): string => {
    const start = at;
    if (text[at] === '"') {
      at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      at++;
    } else while (at < text.length && !/[\s()";]/.test(text[at] as string)) at++;
    if (at === start) at++;
    return text.slice(start, at);
  };
  const list = (): Expression => {
    const start = at++;
    const items: (string | Expression)[] = [];
    for (;;) {
      skip();
      if (at >= text.length) break;
      if (text[at] === ")") {
        at++;
        break;
      }
      items.push(text[at] === "(" ? list() : atom());
    }
    return { items, start, end: at };
  };
  const out: Expression[] = [];
  for (;;) {
    skip();
    if (at >= text.length) return out;
    out.push(list());
  }
}

/** Bytes of a string literal. */
export function stringBytes(literal: string): Uint8Array {
  const out: number[] = [];
  const inner = literal.slice(1, -1);
  const escapes: Record<string, number> = { n: 10, t: 9, r: 13, '"': 34, "'": 39, "\\": 92 };
  for (let i = 0; i < inner.length; i++) {
    if (inner[i] !== "\\") {
      const point = inner.codePointAt(i) as number;
      if (point > 0xffff) i++;
      out.push(...Buffer.from(String.fromCodePoint(point)));
      continue;
    }
    const next = inner[++i] as string;
    if (next === "u") {
      const close = inner.indexOf("}", i);
      out.push(...Buffer.from(String.fromCodePoint(Number.parseInt(inner.slice(i + 2, close), 16))));
      i = close;
    } else if (escapes[next] !== undefined) out.push(escapes[next] as number);
    else out.push(Number.parseInt(inner.slice(i, ++i + 1), 16));
  }
  return Uint8Array.from(out);
}

export function stringText(literal: string): string {
  return Buffer.from(stringBytes(literal)).toString("utf8");
}

function integerBits(text: string, bits: number): bigint {
  const plain = text.replaceAll("_", "");
  const negative = plain.startsWith("-");
  const value = BigInt(plain.replace(/^[+-]/, ""));
  return BigInt.asUintN(bits, negative ? -value : value);
}

function floatValue(text: string): number {
  const plain = text.replaceAll("_", "").replace(/^[+-]/, "");
  const hex = /^0x([0-9a-f]+)\.?([0-9a-f]*)(?:p([+-]?\d+))?$/i.exec(plain);
  if (hex === null) return plain === "inf" ? Infinity : Number(plain);
  const fraction = hex[2] ?? "";
  // Exact as long as the digits make no more than 53 bits, which those of the suite's arguments do, or round once.
  return Number(BigInt(`0x${hex[1]}${fraction}`)) * 2 ** (Number(hex[3] ?? 0) - 4 * fraction.length);
}

export function floatBits(text: string, isDouble: boolean): bigint {
  const sign = text.startsWith("-") ? 1n : 0n;
  const view = new DataView(new ArrayBuffer(8));
  const nan = /^[+-]?nan(?::0x([0-9a-f_]+))?$/i.exec(text);
  if (nan !== null) {
    const payload = nan[1] === undefined ? (isDouble ? 1n << 51n : 1n << 22n) : BigInt(`0x${nan[1].replaceAll("_", "")}`);
    return isDouble ? (sign << 63n) | (0x7ffn << 52n) | payload : (sign << 31n) | (0xffn << 23n) | payload;
  }
  const value = floatValue(text);
  if (isDouble) view.setFloat64(0, sign ? -value : value);
  else view.setFloat32(0, sign ? -value : value);
  return isDouble ? view.getBigUint64(0) : BigInt(view.getUint32(0));
}

/** The word that stands for an argument such as `(i32.const 1)`; null references are 0, `(ref.extern n)` is n + 1. */
export function argumentWord(expression: Expression): bigint {
  const [kind, value = "0"] = expression.items as [string, string];
  switch (kind) {
    case "i32.const":
      return integerBits(value, 32);
    case "i64.const":
      return integerBits(value, 64);
    case "f32.const":
      return floatBits(value, false);
    case "f64.const":
      return floatBits(value, true);
    case "ref.extern":
    case "ref.host":
      return BigInt(value) + 1n;
    default:
      return 0n;
  }
}

/** True if a result word matches `(f32.const nan:canonical)` and the like. */
export function matches(expression: Expression, word: bigint): boolean {
  const [kind, value] = expression.items as [string, string | undefined];
  if (kind === "ref.func" || (kind === "ref.extern" && value === undefined)) return word !== 0n;
  if (kind === "ref.null") return word === 0n;
  const isDouble = kind === "f64.const";
  const bits = kind === "i32.const" || kind === "f32.const" ? BigInt.asUintN(32, word) : word;
  if (value === "nan:canonical") return BigInt.asUintN(isDouble ? 63 : 31, bits) === (isDouble ? 0x7ff8n << 48n : 0x7fc00000n);
  if (value === "nan:arithmetic") {
    const quiet = isDouble ? 0x7ff8n << 48n : 0x7fc00000n;
    return (bits & quiet) === quiet;
  }
  if (kind === "i32.const" && word >> 32n !== 0n) return false; // an i32 has zero upper bits, always
  return bits === argumentWord(expression);
}
