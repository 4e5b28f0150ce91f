/** An identity provider for tests: oidc-provider, whose clients get tokens for themselves (client credentials) and which signs them with ES256. */
import { ok } from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { Provider } from "oidc-provider";

export async function signingKey(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: "ES256", use: "sig" };
}

export interface IdentityTerms {
  /** Secrets by client. */
  readonly clients: Readonly<Record<string, string>>;
  /** Of tokens that name no resource. */
  readonly audience: string;
  readonly scopes: readonly string[];
}

function provider(issuer: string, { clients, audience, scopes }: IdentityTerms, keys: readonly JWK[]): Provider {
  return new Provider(issuer, {
    jwks: { keys: keys as never },
    clients: Object.entries(clients).map(([id, secret]) => ({
      client_id: id,
      client_secret: secret,
      id_token_signed_response_alg: "ES256",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    })),
    scopes: [...scopes],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes.join(" "),
          audience: resource,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
}

export interface IdentityProvider {
  readonly issuer: string;
  /** Signs with these keys from now on. */
  use(keys: readonly JWK[]): void;
  /** A token of the client. Rejects with the provider's answer. */
  token(client: string, scope: string): Promise<string>;
  close(): void;
}

/** Starts it on a free port, with a key of its own. */
export async function identityProvider(terms: IdentityTerms): Promise<IdentityProvider> {
  let handle: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  const server = createServer((request, response) => handle?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const use = (keys: readonly JWK[]): void => void (handle = provider(issuer, terms, keys).callback());
  use([await signingKey("first")]);
  return {
    issuer,
    use,
    token: async (client, scope) => {
      const response = await fetch(`${issuer}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from(`${client}:${terms.clients[client]}`).toString("base64")}` },
        body: new URLSearchParams({ grant_type: "client_credentials", scope }),
      });
      const { access_token: token, ...rest } = (await response.json()) as { access_token?: string };
      ok(token, `status ${response.status}: ${JSON.stringify(rest)}`);
      return token;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
