/**
 * Regular expressions whose backtracking takes exponential time on some text. The test is on Glushkov's automaton: one position for
 * each character set of the pattern, an edge where one may follow another. Time is exponential if a loop can be walked in two ways over
 * the same text: an edge that two repetitions make, or two positions of a loop that both lead back over it. Counted repetitions become
 * two copies. Lookarounds and back references count as nothing: the time limit of a check ends what this test does not see.
 */
import ret, { type Root, type SetTokens, type Token } from "ret";
import { contractLimits } from "./limits.ts";

const parse = ret as unknown as (pattern: string) => Root;
const { types } = ret;

/** Code points from, to; sorted, apart from each other. */
type Ranges = readonly (readonly [from: number, to: number])[];
const last = 0x10ffff;

function unionOf(ranges: Ranges): Ranges {
  const joined: [number, number][] = [];
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    const before = joined.at(-1);
    if (before !== undefined && from <= before[1] + 1) before[1] = Math.max(before[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

function complementOf(ranges: Ranges): Ranges {
  const rest: [number, number][] = [];
  let next = 0;
  for (const [from, to] of ranges) {
    if (from > next) rest.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= last) rest.push([next, last]);
  return rest;
}

function rangesOf(set: SetTokens, not: boolean): Ranges {
  const all = set.flatMap((each): Ranges => {
    if (each.type === types.SET) return rangesOf(each.set, each.not);
    return each.type === types.RANGE ? [[each.from, each.to]] : [[each.value, each.value]];
  });
  const joined = unionOf(all);
  return not ? complementOf(joined) : joined;
}

function meet(a: Ranges, b: Ranges): boolean {
  return a.some(([from, to]) => b.some(([low, high]) => from <= high && low <= to));
}

/** A part of a pattern: whether it matches nothing, where it begins and where it ends. */
interface Part {
  readonly empty: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

const nothing: Part = { empty: true, first: [], last: [] };

class TooLarge extends Error {}

class Automaton {
  readonly sets: Ranges[] = [];
  readonly edges: Set<number>[] = [];
  /** True once two repetitions have made one edge. */
  doubled = false;

  add({ stack, options }: { readonly stack?: Token[] | undefined; readonly options?: Token[][] | undefined }): Part {
    const ways = (options ?? [stack ?? []]).map((way) => this.#sequence(way.map((token) => () => this.#token(token))));
    return {
      empty: ways.some(({ empty }) => empty),
      first: ways.flatMap(({ first }) => first),
      last: ways.flatMap((way) => way.last),
    };
  }

  #position(set: Ranges): Part {
    if (this.sets.length >= contractLimits.patternPositions) throw new TooLarge();
    const at = this.sets.push(set) - 1;
    this.edges.push(new Set());
    return { empty: false, first: [at], last: [at] };
  }

  #token(token: Token): Part {
    if (token.type === types.CHAR) return this.#position([[token.value, token.value]]);
    if (token.type === types.SET) return this.#position(rangesOf(token.set, token.not));
    if (token.type === types.GROUP) {
      const { followedBy, notFollowedBy, lookBehind } = token;
      const part = this.add(token);
      return followedBy === true || notFollowedBy === true || lookBehind === true ? nothing : part;
    }
    if (token.type !== types.REPETITION) return nothing;
    const { min, max, value } = token;
    const copies = Array.from({ length: Math.min(min, 2) }, () => () => this.#token(value));
    if (max !== Infinity && max <= min) return this.#sequence(copies);
    const more = (): Part => ({ ...(max === Infinity ? this.#loop(this.#token(value)) : this.#token(value)), empty: true });
    // `a+` is one position that repeats, not two.
    if (max === Infinity && min === 1) return this.#loop(this.#token(value));
    return this.#sequence([...copies, more]);
  }

  #sequence(parts: readonly (() => Part)[]): Part {
    let whole = nothing;
    for (const make of parts) {
      const part = make();
      for (const from of whole.last) for (const to of part.first) this.edges[from]?.add(to);
      whole = {
        empty: whole.empty && part.empty,
        first: whole.empty ? [...whole.first, ...part.first] : whole.first,
        last: part.empty ? [...whole.last, ...part.last] : part.last,
      };
    }
    return whole;
  }

  #loop(part: Part): Part {
    for (const from of part.last)
      for (const to of part.first) {
        const edges = this.edges[from];
        if (edges?.has(to) === true) this.doubled = true;
        edges?.add(to);
      }
    return part;
  }
}

/** True if two walks from one position over the same text part, and meet there again. Throws TooLarge. */
function partsAndMeets({ sets, edges }: Automaton): boolean {
  const size = sets.length;
  const back = sets.map(() => new Set<number>());
  edges.forEach((each, from) => each.forEach((to) => back[to]?.add(from)));
  const meets = sets.map((a) => sets.map((b) => meet(a, b)));
  let steps = 0;
  /** Pairs of positions that are reached over the same text. */
  const reached = (start: number, graph: readonly ReadonlySet<number>[]): Set<number> => {
    const seen = new Set<number>();
    const open = [start];
    for (let pair = open.pop(); pair !== undefined; pair = open.pop())
      for (const a of graph[Math.floor(pair / size)] ?? [])
        for (const b of graph[pair % size] ?? []) {
          if (++steps > contractLimits.patternSteps) throw new TooLarge();
          const next = a * size + b;
          if (meets[a]?.[b] !== true || seen.has(next)) continue;
          seen.add(next);
          open.push(next);
        }
    return seen;
  };
  for (let at = 0; at < size; at++) {
    const own = at * size + at;
    const forward = reached(own, edges);
    if (!forward.has(own)) continue; // it is in no loop
    const backward = reached(own, back);
    for (const pair of forward) if (Math.floor(pair / size) !== pair % size && backward.has(pair)) return true;
  }
  return false;
}

/** True for `(a+)+`, `(a|a)*`, `(\w|\d)+`. False for what can't be read or is too large. */
export function isExponential(pattern: string): boolean {
  const automaton = new Automaton();
  try {
    // The parser knows no properties, nor code points in braces.
    automaton.add(
      parse(
        pattern
          .replace(/\\p\{[^}]*\}/g, "\\w")
          .replace(/\\P\{[^}]*\}/g, "\\W")
          .replace(/\\u\{[^}]*\}/g, "~"),
      ),
    );
    return automaton.doubled || partsAndMeets(automaton);
  } catch {
    return false;
  }
}
