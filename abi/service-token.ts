/**
 * Rules for tokens of an issuer, as a service carries them (service.ts). Their wire form is a text: lines of a letter and a text, which has no line
 * break; the algorithms are bits of a number.
 *
 *     i ISSUER │ a AUDIENCE │ s SCOPE │ c NAME of a claim, then v TEXT that it may have
 */

/** In the order of their bits. */
export const tokenAlgorithms: readonly string[] = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** A token keeps all rules; of issuers, audiences and texts of a claim one is enough. */
export interface ServiceToken {
  readonly algorithms: readonly string[];
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, readonly string[]>>;
  /** Difference of clocks that is overlooked, in milliseconds. */
  readonly toleranceMs: number;
}

export function rulesText({ issuers, audiences, scopes, claims }: ServiceToken): string {
  return [
    ...issuers.map((each) => `i${each}`),
    ...audiences.map((each) => `a${each}`),
    ...scopes.map((each) => `s${each}`),
    ...Object.entries(claims).flatMap(([name, texts]) => [`c${name}`, ...texts.map((each) => `v${each}`)]),
  ].join("\n");
}

export function algorithmBits({ algorithms }: ServiceToken): number {
  return algorithms.reduce((bits, each) => bits | (1 << tokenAlgorithms.indexOf(each)), 0);
}

/** Never throws; returns undefined if the text or the bits are malformed. */
export function readToken(rules: string, bits: number, toleranceMs: number): ServiceToken | undefined {
  const found = { i: [] as string[], a: [] as string[], s: [] as string[] };
  const claims: Record<string, string[]> = Object.create(null);
  let texts: string[] | undefined;
  for (const line of rules.split("\n")) {
    const [kind, text] = [line.charAt(0), line.slice(1)];
    if (kind === "v") {
      if (texts === undefined) return undefined;
      texts.push(text);
    } else if (kind === "c") {
      if (Object.hasOwn(claims, text)) return undefined;
      claims[text] = texts = [];
    } else if (kind === "i" || kind === "a" || kind === "s") {
      texts = undefined;
      found[kind].push(text);
    } else return undefined;
  }
  if (bits >>> tokenAlgorithms.length !== 0 || found.i.length === 0 || found.a.length === 0) return undefined;
  const algorithms = tokenAlgorithms.filter((_, index) => ((bits >>> index) & 1) === 1);
  return { algorithms, issuers: found.i, audiences: found.a, scopes: found.s, claims, toleranceMs };
}
