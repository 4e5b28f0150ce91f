/** Credentials that an outlet shows its server. */
import { randomBytes } from "node:crypto";
import { headerList, type Headers } from "#abi";
import type { JsonSchema } from "#gateway/contract";
import { digestAuthorization, type DigestChallenge, digestChallenge } from "./digest.ts";
import { credentialsHeader, type HeaderCredentials, headerCredentialsSchema } from "../shared/header-credentials.ts";
import { OAuth2Credentials, type OAuth2Config, oauth2Schema, type TokenPorts } from "../shared/oauth2.ts";
import { awsTime, sha256 } from "../shared/sigv4.ts";
import { sigV4Authorization, type SigV4Config, sigV4Schema } from "./sigv4.ts";

export interface OutletAuthConfig extends HeaderCredentials {
  /** `user:password` */
  readonly digest?: string;
  readonly oauth2?: OAuth2Config;
  readonly sigv4?: SigV4Config;
}

const text = { type: "string", minLength: 1 } as const;

export const outletAuthSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  description: "Credentials of every request. Default: none but those in `url` and `headers`.",
  properties: {
    ...headerCredentialsSchema("ERP"),
    digest: {
      ...text,
      pattern: "^[^:]+:",
      patternErrorMessage: "must be user:password",
      description:
        "`user:password`, proved by Digest (RFC 7616; `qop=auth`, SHA-512-256, SHA-256 or MD5). The first request is sent twice: the server has to ask.",
    },
    oauth2: oauth2Schema,
    sigv4: sigV4Schema,
  },
};

/** A request that is about to be sent. */
export interface ShownRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
  /** Sent in place of `body`. */
  readonly stream: { readonly sha256: string } | undefined;
}

export interface OutletCredentials {
  /** Headers that show them. Rejects with an OutletError. */
  headers(request: ShownRequest): Promise<Headers>;
  /** The server answered 401 to these. True: others may help. */
  refused(shown: Headers, answer: Headers): boolean;
  close(): void;
}

function fixed(headers: Headers): OutletCredentials {
  return { headers: async () => headers, refused: () => false, close: () => undefined };
}

class SigV4Credentials implements OutletCredentials {
  readonly #config: SigV4Config;
  readonly #now: () => number;

  constructor(config: SigV4Config, now: () => number) {
    this.#config = config;
    this.#now = now;
  }

  async headers({ url, method, headers, body, stream }: ShownRequest): Promise<Headers> {
    const bodySha256 = stream?.sha256 ?? sha256(body ?? "");
    const { sessionToken } = this.#config;
    const own: Record<string, string> = { "x-amz-date": awsTime(this.#now()), "x-amz-content-sha256": bodySha256 };
    if (sessionToken !== undefined) own["x-amz-security-token"] = sessionToken;
    const signed: Record<string, string> = { host: url.host };
    for (const [name, value] of Object.entries({ ...headers, ...own }))
      if (name === "content-type" || name.startsWith("x-amz-")) signed[name] = headerList(value).join(",");
    const request = { method, path: url.pathname, query: url.search.slice(1), headers: signed, bodySha256 };
    return { ...own, authorization: sigV4Authorization(this.#config, request) };
  }

  refused(): boolean {
    return false;
  }

  close(): void {}
}

class DigestCredentials implements OutletCredentials {
  readonly #user: string;
  readonly #password: string;
  /** The last one, and how often it was answered: good for further requests until the server asks anew. */
  #challenge: DigestChallenge | undefined;
  #count = 0;

  constructor(pair: string) {
    const colon = pair.indexOf(":");
    this.#user = pair.slice(0, colon);
    this.#password = pair.slice(colon + 1);
  }

  async headers({ url, method }: ShownRequest): Promise<Headers> {
    if (this.#challenge === undefined) return {};
    this.#count += 1;
    const cnonce = randomBytes(16).toString("hex");
    const request = { user: this.#user, password: this.#password, method, uri: url.pathname + url.search, count: this.#count, cnonce };
    return { authorization: digestAuthorization(this.#challenge, request) };
  }

  /** An answer that was right but for its nonce, or none yet: worth another. */
  refused(shown: Headers, answer: Headers): boolean {
    const asked = digestChallenge(headerList(answer["www-authenticate"] ?? []));
    if (asked === undefined) return false;
    const isNew = asked.nonce !== this.#challenge?.nonce;
    if (isNew) {
      this.#challenge = asked;
      this.#count = 0;
    }
    return isNew || shown["authorization"] === undefined;
  }

  close(): void {}
}

/** Does no more than look at the configuration, as `create` of an outlet. Throws MF_URL_INVALID, MF_OAUTH2_CLIENT. */
export function outletCredentials(config: OutletAuthConfig, ports: TokenPorts): OutletCredentials {
  const { digest, oauth2, sigv4 } = config;
  if (digest !== undefined) return new DigestCredentials(digest);
  if (sigv4 !== undefined) return new SigV4Credentials(sigv4, () => ports.clock.now());
  return oauth2 === undefined ? fixed(credentialsHeader(config)) : new OAuth2Credentials(oauth2, ports);
}
