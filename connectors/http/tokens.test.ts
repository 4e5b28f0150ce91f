/** Tokens of an issuer with real keys: taken, refused, and keys that are replaced while the gateway runs. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { withGateway, withPeer } from "../../gateway/testing/rig.ts";
import { done } from "../../gateway/testing/scripted.ts";

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

interface Issuer {
  readonly url: string;
  /** How often its keys were fetched. */
  fetched: number;
  /** 0: as it should; otherwise the status it answers. */
  status: number;
  publish(kid: string, algorithm: string): Promise<Keys>;
}

async function withIssuer(run: (issuer: Issuer) => Promise<void>): Promise<void> {
  let keys: object[] = [];
  const issuer: Issuer = {
    url: "",
    fetched: 0,
    status: 0,
    publish: async (kid, alg) => {
      const pair = await generateKeyPair(alg, { extractable: true });
      keys = [{ ...(await exportJWK(pair.publicKey)), kid, alg }];
      return pair;
    },
  };
  await withPeer(
    (_request, response) => {
      issuer.fetched += 1;
      if (issuer.status !== 0) return void response.writeHead(issuer.status).end("no");
      response.end(JSON.stringify({ keys }));
    },
    (url) => run(Object.assign(issuer, { url })),
  );
}

interface Given {
  readonly kid?: string;
  readonly alg?: string;
  readonly claims?: JWTPayload;
  readonly until?: string | undefined;
}

async function sign({ privateKey }: Keys, { kid = "k1", alg = "RS256", claims = {}, until = "5m" }: Given = {}): Promise<string> {
  const jwt = new SignJWT({
    iss: "https://id.example",
    aud: "orders",
    sub: "ada",
    scope: "orders.read orders.write",
    role: "clerk",
    ...claims,
  });
  jwt.setProtectedHeader({ alg, kid }).setIssuedAt();
  return (until === "never" ? jwt : jwt.setExpirationTime(until)).sign(privateKey);
}

const yaml = (url: string): string =>
  `flows: { f: { image: f.mfi, from: [ { http: { path: /x, auth: [ { jwt: { jwks: "${url}", issuer: "https://id.example", audience: orders, scopes: [orders.write], claims: { role: [clerk, boss] } } }, { bearer: fixed } ] } } ] } }`;

test("a token of the issuer is taken: its claims and subject reach the flow; every other is refused with the reason", async () => {
  await withIssuer(async (issuer) => {
    const keys = await issuer.publish("k1", "RS256");
    const others = await generateKeyPair("RS256");
    await withGateway(yaml(issuer.url), { f: () => [done()] }, async ({ url, runner }) => {
      const call = (token: string): Promise<Response> =>
        fetch(`${url}/x`, { method: "POST", body: "{}", headers: { authorization: `Bearer ${token}`, "mayfly-claims": "{}" } });
      const told = async (token: string): Promise<unknown[]> => {
        const response = await call(token);
        const { code } = (await response.json()) as { code: string };
        return [response.status, code, /error="([a-z_]+)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1]];
      };
      equal((await call(await sign(keys))).status, 204);
      const headers = JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>;
      equal(headers["mayfly-caller"], "ada");
      equal((JSON.parse(headers["mayfly-claims"] ?? "{}") as JWTPayload)["role"], "clerk");
      equal(headers["authorization"], undefined);
      equal((await call("fixed")).status, 204);

      const invalid = [401, "MF_TOKEN_INVALID", "invalid_token"];
      deepEqual(await told(await sign(others)), invalid, "another's key");
      deepEqual(await told(await sign(keys, { until: "-1m" })), invalid);
      deepEqual(await told(await sign(keys, { until: "never" })), invalid, "a token without an end");
      for (const claims of [{ iss: "https://evil.example" }, { aud: "billing" }, { nbf: Math.floor(Date.now() / 1000) + 600 }])
        deepEqual(await told(await sign(keys, { claims })), invalid, JSON.stringify(claims));
      const [head = "", body = ""] = (await sign(keys)).split(".");
      const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`;
      deepEqual(await told(none), invalid);
      deepEqual(await told(`${head}.${Buffer.from('{"sub":"root"}').toString("base64url")}.AAAA`), invalid);
      const forbidden = [403, "MF_FORBIDDEN", "insufficient_scope"];
      deepEqual(await told(await sign(keys, { claims: { scope: "orders.read" } })), forbidden);
      deepEqual(await told(await sign(keys, { claims: { role: "guest" } })), forbidden);
      equal((await call("wrong")).status, 401);
      equal(runner.delivered.length, 2);
      ok(issuer.fetched <= 2, `${issuer.fetched} fetches`);
    });
  });
});

test("an algorithm that is not allowed is refused; an issuer that is away is said to be", async () => {
  await withIssuer(async (issuer) => {
    const keys = await issuer.publish("k1", "ES384");
    await withGateway(yaml(issuer.url), { f: () => [done()] }, async ({ url }) => {
      const status = async (token: string): Promise<number> =>
        (await fetch(`${url}/x`, { method: "POST", headers: { authorization: `Bearer ${token}` } })).status;
      equal(await status(await sign(keys, { alg: "ES384" })), 401);
    });
  });
  await withIssuer(async (issuer) => {
    const keys = await issuer.publish("k1", "RS256");
    issuer.status = 500;
    await withGateway(yaml(issuer.url), { f: () => [done()] }, async ({ url }) => {
      const response = await fetch(`${url}/x`, { method: "POST", headers: { authorization: `Bearer ${await sign(keys)}` } });
      deepEqual(
        [response.status, ((await response.json()) as { code: string }).code, response.headers.get("retry-after")],
        [503, "MF_JWKS_UNAVAILABLE", "5"],
      );
      issuer.status = 0;
      const again = await fetch(`${url}/x`, { method: "POST", headers: { authorization: `Bearer ${await sign(keys)}` } });
      equal(again.status, 204);
    });
  });
});
