/** `auth: { oidc }` with a real identity provider (oidc-provider), and with issuers that say what they should not. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { gatewayLimits } from "../../gateway/contract/limits.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { withGateway, withPeer } from "../../gateway/testing/rig.ts";
import { done } from "../../gateway/testing/scripted.ts";
import { identityProvider, signingKey } from "../testing/identity-provider.ts";

const flow = (oidc: string): string => `flows: { f: { image: f.mfi, from: [ { http: { path: /x, auth: { oidc: { ${oidc} } } } } ] } }`;
const call = (url: string, token: string): Promise<Response> =>
  fetch(`${url}/x`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code;

const audience = "https://orders.example";
const terms = { clients: { shop: "s3cret" }, audience, scopes: ["orders.write", "orders.read"] };

test("tokens of a real identity provider are taken by its discovery document alone, also after it has changed its keys", async () => {
  const now = Date.now;
  const provider = await identityProvider(terms);
  const { issuer } = provider;
  const tokenOf = (scope: string): Promise<string> => provider.token("shop", scope);
  try {
    await withGateway(
      flow(`issuer: "${issuer}", audience: "${audience}", scopes: [orders.write]`),
      { f: () => [done()] },
      async ({ url, runner }) => {
        equal((await call(url, await tokenOf("orders.write"))).status, 204);
        const headers = JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>;
        const claims = JSON.parse(headers["mayfly-claims"] ?? "{}") as Record<string, unknown>;
        deepEqual([claims["iss"], claims["aud"], claims["client_id"], claims["scope"]], [issuer, audience, "shop", "orders.write"]);
        const poor = await call(url, await tokenOf("orders.read"));
        deepEqual([poor.status, await codeOf(poor)], [403, "MF_FORBIDDEN"]);
        provider.use([await signingKey("next")]);
        const next = await tokenOf("orders.write");
        try {
          Date.now = () => now() + gatewayLimits.jwksCooldownMs + 1; // jose asks it
          equal((await call(url, next)).status, 204);
        } finally {
          Date.now = now;
        }
      },
    );
    await withGateway(flow(`issuer: "${issuer}", audience: other`), { f: () => [done()] }, async ({ url }) => {
      const wrong = await call(url, await tokenOf("orders.write"));
      deepEqual([wrong.status, await codeOf(wrong)], [401, "MF_TOKEN_INVALID"], "for another audience");
    });
  } finally {
    provider.close();
  }
});

/** An issuer that answers its configuration by `configuration`, and one key. */
async function withIssuer(
  configuration: (issuer: string, path: string) => unknown,
  run: (issuer: string, sign: () => Promise<string>, asked: string[]) => Promise<void>,
): Promise<void> {
  const { privateKey: key, publicKey } = await generateKeyPair("ES256");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" }];
  const asked: string[] = [];
  let issuer = "";
  await withPeer(
    (request, response) => {
      const { url: path = "" } = request;
      asked.push(path);
      const configured = configuration(issuer, path);
      const answer = path === "/keys" && configured !== undefined ? { keys } : configured;
      if (answer === undefined) response.writeHead(500);
      response.end(JSON.stringify(answer));
    },
    async (url) => {
      issuer = url;
      const sign = (): Promise<string> =>
        new SignJWT({ iss: url, aud: "a" }).setProtectedHeader({ alg: "ES256", kid: "k" }).setExpirationTime("2h").sign(key);
      await run(url, sign, asked);
    },
  );
}

for (const [what, configuration, told] of [
  ["calls itself otherwise", (issuer: string) => ({ issuer: `${issuer}/`, jwks_uri: `${issuer}/keys` }), /it calls itself/],
  ["names no keys", (issuer: string) => ({ issuer }), /no jwks_uri/],
  ["names a file as its keys", (issuer: string) => ({ issuer, jwks_uri: "file:///etc/passwd" }), /not an https URL/],
  ["says nothing", () => null, /it calls itself/],
  ["fails", () => undefined, /status 500/],
] as const)
  test(`an issuer that ${what} is not believed: 503, and the log names the reason`, async () => {
    await withIssuer(configuration, async (issuer, sign, asked) => {
      await withGateway(flow(`issuer: "${issuer}", audience: a`), { f: () => [done()] }, async ({ url, logs, runner }) => {
        const response = await call(url, await sign());
        deepEqual([response.status, await codeOf(response)], [503, "MF_JWKS_UNAVAILABLE"]);
        match(logs.find(({ fields }) => fields["code"] === "MF_JWKS_UNAVAILABLE")?.text ?? "", told);
        deepEqual([runner.delivered.length, asked.includes("/keys")], [0, false]);
      });
    });
  });

test("the issuer is asked once for many requests, again after an hour, and its keys of before hold while it is away", async () => {
  let away = false;
  await withIssuer(
    (issuer) => (away ? undefined : { issuer, jwks_uri: `${issuer}/keys` }),
    async (issuer, sign, asked) => {
      const clock = new ManualClock(Date.now());
      let ticking: NodeJS.Timeout | undefined;
      await withGateway(
        flow(`issuer: "${issuer}", audience: a`),
        { f: () => [done()] },
        async ({ url }) => {
          const token = await sign();
          const statuses = async (): Promise<number[]> => Promise.all([1, 2, 3].map(async () => (await call(url, token)).status));
          const configurations = (): number => asked.filter((path) => path.startsWith("/.well-known")).length;
          deepEqual([await statuses(), configurations()], [[204, 204, 204], 1]);
          deepEqual([await statuses(), configurations()], [[204, 204, 204], 1]);
          clock.advance(gatewayLimits.discoveryMs);
          away = true;
          deepEqual([await statuses(), configurations()], [[204, 204, 204], 2]);
          deepEqual([await statuses(), configurations()], [[204, 204, 204], 2], "not with each token");
          clock.advance(gatewayLimits.jwksCooldownMs);
          away = false;
          deepEqual([await statuses(), configurations()], [[204, 204, 204], 3]);
          ticking = setInterval(() => clock.advance(100), 1);
        },
        { clock },
      ).finally(() => clearInterval(ticking));
    },
  );
});

test("an issuer that is away, or its keys, is not asked with every token: ever less often, and used again once it is back", async () => {
  for (const path of ["/.well-known/openid-configuration", "/keys"]) {
    let away = true;
    await withIssuer(
      (issuer, wanted) => (away && wanted === path ? undefined : { issuer, jwks_uri: `${issuer}/keys` }),
      async (issuer, sign, asked) => {
        const clock = new ManualClock(Date.now());
        let ticking: NodeJS.Timeout | undefined;
        await withGateway(
          flow(`issuer: "${issuer}", audience: a`),
          { f: () => [done()] },
          async ({ url }) => {
            const token = await sign();
            const statuses = async (): Promise<number[]> => {
              const each: number[] = [];
              for (let turn = 0; turn < 10; turn += 1) each.push((await call(url, token)).status);
              return [...new Set(each)];
            };
            const count = (): number => asked.filter((each) => each === path).length;
            const { least, most } = gatewayLimits.jwksBackoffMs;
            deepEqual([await statuses(), count()], [[503], 2]);
            clock.advance(least);
            deepEqual([await statuses(), count()], [[503], 3]);
            clock.advance(least);
            deepEqual([await statuses(), count()], [[503], 3], "the pause is longer than the one before");
            for (let turn = 0; turn < 6; turn += 1) {
              clock.advance(most);
              await statuses();
            }
            equal(count(), 9, "it does not grow without end");
            clock.advance(most);
            away = false;
            deepEqual([await statuses(), count()], [[204], 10]);
            ticking = setInterval(() => clock.advance(100), 1);
          },
          { clock },
        ).finally(() => clearInterval(ticking));
      },
    );
  }
});
