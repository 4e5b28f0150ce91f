/** `key: json:` and `dedup.by: json:`: the scanner says what JSON.parse and a walk along the pointer would. */
import { fromUtf8, toUtf8 } from "#base";
import { mostNormalJsonBytes } from "../../../base/limits.ts";
import { Scan, textOfValue, valuesAt } from "../../../base/json-pointer.ts";
import { faulty, type Target, type Verdict } from "../target.ts";

const pointers = [[], ["a"], ["a", "b"], ["0"], ["a", "1", "b"], [""], ["__proto__"]] as const;

function walk(value: unknown, steps: readonly string[]): string | undefined {
  for (const step of steps) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  if (typeof value === "string") return value;
  return value === undefined || value === null ? undefined : JSON.stringify(value);
}

/** In slices that end anywhere, also inside a text or a number. */
function inSlices(input: Uint8Array, mostBytes: number): readonly (string | undefined)[] {
  const scan = new Scan(input, pointers);
  while (scan.slice(mostBytes, mostBytes));
  return scan.literals().map(textOfValue);
}

/** A value too long to be put in JSON's plain form is taken as it was sent. */
function isSame(found: string | undefined, expected: string | undefined): boolean {
  if (found === expected) return true;
  return found !== undefined && found.length > mostNormalJsonBytes && JSON.stringify(JSON.parse(found)) === expected;
}

function run(input: Uint8Array): Verdict {
  let parsed: { readonly value: unknown } | undefined;
  try {
    parsed = { value: JSON.parse(fromUtf8(input)) };
  } catch {
    // not JSON
  }
  const found = valuesAt(input, pointers);
  const sliced = inSlices(input, 1 + (input.length % 7));
  const signature = parsed === undefined ? "no JSON" : found.map((text) => (text === undefined ? "-" : (text[0] ?? "empty"))).join("");
  for (const [index, steps] of pointers.entries()) {
    const expected = parsed === undefined ? undefined : walk(parsed.value, steps);
    if (sliced[index] !== found[index])
      return faulty(signature, `/${steps.join("/")} is ${sliced[index]} in slices, and ${found[index]} at once`);
    if (!isSame(found[index], expected)) return faulty(signature, `/${steps.join("/")} is ${found[index]}, and should be ${expected}`);
  }
  return { signature };
}

export function openKey(): Promise<Target> {
  const seeds = ['{"a":{"b":"x"},"a":[1,{"b":-0.5e3}]}', '[{"":null},"\\ud83d\\ude00\\n"]', '{"__proto__":{"a":true}}', " [ [ ] , { } ] "];
  const words = ['"a"', '"b"', '"\\u0061"', "__proto__", '""', "[", "]", "{", "}", ",", ":", "null", "1e999", "-0", "\\", "\ufeff", " "];
  return Promise.resolve({ name: "key", seeds: seeds.map(toUtf8), words, run });
}
