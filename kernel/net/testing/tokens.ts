/** Tokens for tests of services beside the gateway: an issuer's, and damaged ones, under fast-check's seed. */
import fc from "fast-check";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export const issuerName = "https://id.example";

/** Rules of `auth.jwt`, as mayfly.yaml has them; all tokens below are judged by them. */
export const rules = {
  issuer: [issuerName, "https://other.example"],
  audience: "orders",
  algorithms: ["RS256", "PS384", "ES256", "ES512", "EdDSA"],
  scopes: ["orders.write"],
  claims: { role: ["clerk", "boss"] },
} as const;

const algorithms = [...rules.algorithms, "RS512"] as const;

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

interface Part {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** An issuer with a key of each algorithm, named `k-ALG`; one of them is in no set. */
export class TokenIssuer {
  readonly jwks: string;
  readonly #keys: ReadonlyMap<string, Keys>;

  private constructor(keys: ReadonlyMap<string, Keys>, jwks: string) {
    this.#keys = keys;
    this.jwks = jwks;
  }

  static async create(): Promise<TokenIssuer> {
    const keys = new Map<string, Keys>();
    const jwks: object[] = [];
    for (const alg of algorithms) {
      const pair = await generateKeyPair(alg, { extractable: true });
      keys.set(alg, pair);
      jwks.push({ ...(await exportJWK(pair.publicKey)), kid: `k-${alg}`, alg });
    }
    return new TokenIssuer(keys, JSON.stringify({ keys: jwks }));
  }

  async sign(alg: string, part: Partial<Part> = {}): Promise<string> {
    const seconds = Math.floor(Date.now() / 1000);
    const claims = { iss: issuerName, aud: "orders", sub: "ada", scope: "orders.write", role: "clerk", iat: seconds, exp: seconds + 600 };
    return await new SignJWT({ ...claims, ...part.claims })
      .setProtectedHeader({ alg, kid: `k-${alg}`, ...part.header })
      .sign(this.#keys.get(alg)?.privateKey as Keys["privateKey"]);
  }

  /** Good tokens, and signed ones that break each rule. */
  async tokens(): Promise<readonly string[]> {
    const seconds = Math.floor(Date.now() / 1000);
    const claims: readonly Part["claims"][] = [
      ...[{ iss: "https://evil.example" }, { iss: 1 }, { iss: undefined }, { iss: "https://other.example" }],
      ...[{ aud: "billing" }, { aud: ["orders", "x"] }, { aud: {} }, { aud: undefined }],
      ...[{ exp: seconds - 60 }, { exp: undefined }, { exp: "soon" }, { exp: seconds + 1e9 }, { exp: null }],
      ...[{ nbf: seconds + 600 }, { nbf: seconds - 1 }, { nbf: true }, { iat: [] }],
      ...[{ scope: "orders.read" }, { scope: ["orders.write"] }, { scope: 5, scp: " orders.write  x" }],
      ...[{ role: "guest" }, { role: ["guest", "boss"] }, { role: [["boss"]] }, { role: undefined }, { sub: 1 }, { sub: undefined }],
      ...[{ ünïcode: 'é\u0007"\\\u2028😀' }, { long: "x".repeat(3_000) }],
    ];
    const headers: readonly Part["header"][] = [
      { kid: "k-none" },
      { kid: undefined },
      { kid: "k-ES512" },
      { typ: "at+jwt" },
      { x5c: ["AAAA"] },
    ];
    return await Promise.all([
      ...algorithms.map((alg) => this.sign(alg)),
      ...claims.map((each) => this.sign("ES256", { claims: each })),
      ...headers.map((each) => this.sign("ES256", { header: each })),
    ]);
  }
}

const characters = fc.constantFrom(..."AQgw09-_.+/=~ {");

/** A token with one to three damages: characters, parts that change places, or another header around the same signature. */
export function damaged(tokens: readonly string[]): fc.Arbitrary<string> {
  const token = fc.constantFrom(...tokens);
  const edit = fc.record({ at: fc.nat(), cut: fc.nat(3), text: fc.string({ unit: characters, maxLength: 3 }) });
  const edited = fc.tuple(token, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([text, edits]) =>
    edits.reduce((result, { at, cut, text: more }) => {
      const place = at % (result.length + 1);
      return result.slice(0, place) + more + result.slice(place + cut);
    }, text),
  );
  const mixed = fc
    .tuple(fc.array(fc.tuple(token, fc.nat(2)), { minLength: 2, maxLength: 4 }))
    .map(([parts]) => parts.map(([text, index]) => text.split(".")[index]).join("."));
  const member = fc.record({
    name: fc.constantFrom("alg", "kid", "typ", "x"),
    value: fc.oneof(
      fc.constantFrom<unknown>("none", "HS256", "RS256", "ES256", "k-ES256", "k-RS256", null, 1, true, [], {}),
      fc.jsonValue({ maxDepth: 3 }),
    ),
  });
  const other = fc.tuple(token, member).map(([text, { name, value }]) => {
    const [head = "", ...rest] = text.split(".");
    const header = JSON.parse(Buffer.from(head, "base64url").toString()) as object;
    return [Buffer.from(JSON.stringify({ ...header, [name]: value })).toString("base64url"), ...rest].join(".");
  });
  // A header of HTTP has no spaces at its ends.
  return fc.oneof(edited, mixed, other, token).map((text) => text.trim());
}

/** False for base64url that jose reads, and a service refuses: white space, padding, bits that are left over. */
export function isCanonical(token: string): boolean {
  return token.split(".").every((part) => Buffer.from(part, "base64url").toString("base64url") === part);
}
