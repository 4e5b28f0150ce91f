/** Patterns of exponential time are found, and the usual ones let through. */
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isExponential } from "./patterns.ts";

const exponential = [
  "^(a+)+$",
  "(a|a)*",
  "(\\w|\\d)+$",
  "(a|aa)+$",
  "(a*)*",
  "(a?a?)*",
  "^(([a-z])+.)+[A-Z]([a-z])+$",
  "(a{1,30})+",
  "([a-zA-Z0-9]+)*@",
  "(.*)*x",
  "(?:\\.?\\w+)+$",
  "^(a|b|ab)*c$",
  "(\\p{L}+)*",
  "(?<name>x+)+",
];
const linear = [
  "^[a-z]+(-[a-z]+)*$",
  "^\\d{3}-\\d{4}$",
  "^(\\d{3}){2}$",
  "^[^@]+@[^@]+\\.[a-z]{2,}$",
  "^\\p{L}+( \\p{L}+)*$",
  "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)?$",
  "^#?([a-f0-9]{6}|[a-f0-9]{3})$",
  "^[A-Z]{2}[0-9]{2}([A-Z0-9]{4})+$",
  "^(\\d+)?$",
  "^([01]\\d|2[0-3]):[0-5]\\d$",
  "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
  "^(?!.*\\.\\.)[a-z.]+$",
  "(",
];

test("patterns with loops that match a text in two ways are exponential, others are not", () => {
  for (const pattern of exponential) equal(isExponential(pattern), true, pattern);
  for (const pattern of linear) equal(isExponential(pattern), false, pattern);
});

test("the judgement ends for patterns of any size", () => {
  equal(isExponential(`^((?:${"[a-z]?".repeat(300)})x)*$`), false);
  isExponential(`^(${"[a-z]*".repeat(250)})$`);
  isExponential(`${"(".repeat(5_000)}a${")".repeat(5_000)}`);
});

/** Patterns over two letters, small enough that backtracking shows itself on a short text. */
const pattern = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom("a", "b", "[ab]"),
    fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => a + b),
    fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{1,2}")).map(([a, count]) => `(?:${a})${count}`),
  ),
})).pattern;

/** Steps that a backtracking matcher takes until it has tried every way, at most `most`. */
function ways(source: string, text: string, most: number): number {
  let steps = 0;
  type Rest = (at: number) => void;
  const parse = (from: number): [run: (at: number, rest: Rest) => void, end: number] => {
    const branches: ((at: number, rest: Rest) => void)[][] = [[]];
    let at = from;
    while (at < source.length && source[at] !== ")") {
      let one: (at: number, rest: Rest) => void;
      if (source[at] === "|") {
        branches.push([]);
        at += 1;
        continue;
      }
      if (source.startsWith("(?:", at)) {
        const [run, end] = parse(at + 3);
        one = run;
        at = end + 1;
      } else {
        const letters = source[at] === "[" ? "ab" : (source[at] as string);
        at += source[at] === "[" ? 4 : 1;
        one = (place, rest) => {
          if (++steps < most && place < text.length && letters.includes(text[place] as string)) rest(place + 1);
        };
      }
      const count = /^(?:[*+?]|\{2\}|\{1,2\})/.exec(source.slice(at))?.[0];
      at += count?.length ?? 0;
      if (count !== undefined) {
        const [least, greatest] = (
          { "*": [0, Infinity], "+": [1, Infinity], "?": [0, 1], "{2}": [2, 2], "{1,2}": [1, 2] } as Record<string, [number, number]>
        )[count] as [number, number];
        const inner = one;
        const repeat = (place: number, done: number, rest: Rest): void => {
          if (done < greatest) inner(place, (next) => void ((next > place || done < least) && repeat(next, done + 1, rest)));
          if (done >= least) rest(place);
        };
        one = (place, rest) => repeat(place, 0, rest);
      }
      branches.at(-1)?.push(one);
    }
    const run = (place: number, rest: Rest): void => {
      for (const branch of branches) {
        const step = (index: number, here: number): void => {
          const next = branch[index];
          if (steps >= most) return;
          if (next === undefined) rest(here);
          else next(here, (there) => step(index + 1, there));
        };
        step(0, place);
      }
    };
    return [run, at];
  };
  parse(0)[0](0, () => void (steps += 1));
  return steps;
}

test("a pattern that is judged linear is not exponential for a backtracking matcher", () => {
  fc.assert(
    fc.property(pattern, fc.constantFrom("a", "b", "ab", "aab", "abb"), (source, unit) => {
      if (isExponential(source)) return;
      const most = 400_000;
      // Polynomials of these small patterns stay far below; 2^n of a loop does not.
      ok(ways(source, unit.repeat(Math.floor(30 / unit.length)), most) < most, source);
    }),
    { numRuns: 300 },
  );
});
