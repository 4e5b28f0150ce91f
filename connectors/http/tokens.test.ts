/** Tokens of an issuer with real keys: taken, refused, and keys that are replaced while the gateway runs. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { gatewayLimits } from "../../gateway/contract/limits.ts";
import { until, withGateway, withPeer } from "../../gateway/testing/rig.ts";
import { done } from "../../gateway/testing/scripted.ts";

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

interface Issuer {
  readonly url: string;
  /** How often its keys were fetched. */
  fetched: number;
  /** 0: as it should; otherwise the status it answers. */
  status: number;
  /** Answered in place of its keys. */
  answer: string | undefined;
  /** Length that it claims its answer to have, of which it sends one byte. */
  claimedBytes: number | undefined;
  /** Called before it answers. */
  gate: (() => Promise<void>) | undefined;
  publish(kid: string, algorithm: string): Promise<Keys>;
}

async function withIssuer(run: (issuer: Issuer) => Promise<void>): Promise<void> {
  let keys: object[] = [];
  const issuer: Issuer = {
    url: "",
    fetched: 0,
    status: 0,
    answer: undefined,
    claimedBytes: undefined,
    gate: undefined,
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
      if (issuer.claimedBytes !== undefined) return void response.writeHead(200, { "content-length": issuer.claimedBytes }).write("{");
      const answer = (): unknown => response.end(issuer.answer ?? JSON.stringify({ keys }));
      if (issuer.gate === undefined) answer();
      else void issuer.gate().then(answer);
    },
    (url) => run(Object.assign(issuer, { url })),
  );
}

interface Given {
  readonly kid?: string;
  readonly alg?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
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

const bearer = (token: string): RequestInit => ({ method: "POST", headers: { authorization: `Bearer ${token}` } });
const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code;

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

test("a token whose subject is no text is taken as one without; without a subject the client it was given to is counted", async () => {
  await withIssuer(async (issuer) => {
    const keys = await issuer.publish("k1", "RS256");
    const http = `path: /x, mode: accept, rateLimit: { rate: 1/h }, auth: { jwt: { jwks: "${issuer.url}", issuer: "https://id.example", audience: orders } }`;
    await withGateway(`flows: { f: { image: f.mfi, from: [ { http: { ${http} } } ] } }`, { f: () => [done()] }, async ({ url, runner }) => {
      const status = async (claims: Record<string, unknown>): Promise<number> =>
        (await fetch(`${url}/x`, bearer(await sign(keys, { claims })))).status;
      equal(await status({ sub: 1, client_id: "a" }), 202);
      await until(() => runner.delivered.length === 1);
      const headers = JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>;
      deepEqual([headers["mayfly-caller"], (JSON.parse(headers["mayfly-claims"] ?? "{}") as JWTPayload).sub], [undefined, 1]);
      for (const claims of [{ client_id: "b" }, { azp: "c" }, {}]) {
        const without = { sub: undefined, ...claims };
        deepEqual([await status(without), await status(without)], [202, 429], JSON.stringify(claims));
      }
      equal(await status({ sub: "a" }), 202, "a subject is no client of that name");
    });
  });
});

test("keys that are replaced while the gateway runs are fetched when a token names a new one", async () => {
  const now = Date.now;
  await withIssuer(async (issuer) => {
    const old = await issuer.publish("k1", "RS256");
    await withGateway(yaml(issuer.url), { f: () => [done()] }, async ({ url }) => {
      equal((await fetch(`${url}/x`, bearer(await sign(old)))).status, 204);
      const next = await issuer.publish("k2", "RS256");
      try {
        Date.now = () => now() + gatewayLimits.jwksCooldownMs + 1; // jose asks it
        equal((await fetch(`${url}/x`, bearer(await sign(next, { kid: "k2" })))).status, 204);
        equal((await fetch(`${url}/x`, bearer(await sign(old)))).status, 401);
      } finally {
        Date.now = now;
      }
      equal(issuer.fetched, 2);
    });
  });
});

for (const [what, answer, told] of [
  ["no set of keys", { answer: "{}" }, /JSON Web Key Set/],
  ["no JSON", { answer: "<html>" }, /not JSON/],
  ["longer than any answer may be", { claimedBytes: 2 ** 40 }, /more than \d+ bytes/],
] as const)
  test(`an issuer's answer that is ${what} is the issuer's fault: 503, and the log names the reason`, async () => {
    await withIssuer(async (issuer) => {
      const keys = await issuer.publish("k1", "RS256");
      Object.assign(issuer, answer);
      await withGateway(yaml(issuer.url), { f: () => [done()] }, async ({ url, logs }) => {
        for (let turn = 0; turn < 2; turn += 1) {
          const response = await fetch(`${url}/x`, bearer(await sign(keys)));
          deepEqual([response.status, await codeOf(response)], [503, "MF_JWKS_UNAVAILABLE"]);
        }
        const lines = logs.filter(({ fields }) => fields["code"] === "MF_JWKS_UNAVAILABLE");
        equal(lines.length, 1, "a repeated fault is logged once in a while");
        match(lines[0]?.text ?? "", told);
      });
    });
  });

test("an issuer that is away holds up no token of another, and is asked for none", async () => {
  await withIssuer(async (away) => {
    away.gate = () => new Promise(() => undefined);
    await withIssuer(async (issuer) => {
      const keys = await issuer.publish("k1", "RS256");
      const ways = [
        `{ jwt: { jwks: "${away.url}", issuer: "https://away.example", audience: orders } }`,
        `{ jwt: { jwks: "${issuer.url}", issuer: "https://id.example", audience: orders } }`,
      ];
      const http = `path: /x, auth: [ ${ways.join(", ")} ]`;
      await withGateway(`flows: { f: { image: f.mfi, from: [ { http: { ${http} } } ] } }`, { f: () => [done()] }, async ({ url }) => {
        equal((await fetch(`${url}/x`, bearer(await sign(keys)))).status, 204);
        const stranger = await fetch(`${url}/x`, bearer(await sign(keys, { claims: { iss: "https://evil.example" } })));
        deepEqual([stranger.status, await codeOf(stranger)], [401, "MF_TOKEN_INVALID"]);
        equal(away.fetched, 0);
      });
    });
  });
});

test("a source that stops waits for requests whose tokens are being verified", async () => {
  await withIssuer(async (issuer) => {
    const keys = await issuer.publish("k1", "RS256");
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    issuer.gate = () => gate;
    await withGateway(yaml(issuer.url), { f: () => [done()] }, async ({ url, gateway, config }) => {
      const answer = fetch(`${url}/x`, bearer(await sign(keys)));
      await until(() => issuer.fetched === 1);
      let isReloaded = false;
      const reloaded = gateway.reload(config(yaml(issuer.url).replace("/x", "/y"))).then(() => (isReloaded = true));
      await new Promise((resolve) => setTimeout(resolve, 100));
      equal(isReloaded, false);
      open();
      await reloaded;
      equal((await answer).status, 204);
    });
  });
});
