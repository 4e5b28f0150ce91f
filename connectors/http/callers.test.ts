/** Callers, and where they may call from: keys, signatures of webhooks, pages of other origins; several methods for one path. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import type { IncomingMessage } from "node:http";
import type { Effect } from "#abi";
import fc from "fast-check";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { type Rig, withGateway } from "../../gateway/testing/rig.ts";
import { RateLimiter } from "./rate-limit.ts";
import { done } from "../../gateway/testing/scripted.ts";

const flow = (http: string, more = ""): string => `flows: { f: { image: f.mfi, from: [ { http: { path: /x, ${http} } } ]${more} } }`;
const code = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code;
const hmac = (secret: string | Buffer, text: string, encoding: "hex" | "base64" = "hex"): string =>
  createHmac("sha256", secret).update(text).digest(encoding);
const now = (): number => Math.floor(Date.now() / 1000);

test("one entry serves several methods; OPTIONS is the flow's only where it is listed", async () => {
  await withGateway(
    flow("method: [GET, PUT]"),
    { f: (event) => [done(event.kind === "deliver" ? event.headersJson : "")] },
    async ({ url }) => {
      for (const method of ["GET", "PUT"]) {
        const response = await fetch(`${url}/x`, { method });
        equal((JSON.parse(await response.text()) as Record<string, string>)["mayfly-method"], method);
      }
      equal((await fetch(`${url}/x`, { method: "POST" })).status, 405);
      const options = await fetch(`${url}/x`, { method: "OPTIONS" });
      deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS, PUT"]);
    },
  );
  await withGateway(flow("method: [OPTIONS, POST]"), { f: () => [done("mine")] }, async ({ url }) => {
    equal(await (await fetch(`${url}/x`, { method: "OPTIONS" })).text(), "mine");
  });
});

test("a key names its caller; neither the key nor a claimed name reaches the flow", async () => {
  const auth = "auth: [ { apiKey: { header: x-key, keys: { ada: secret-1, grace: secret-2 } } }, { bearer: token } ]";
  await withGateway(flow(auth), { f: () => [done()] }, async ({ url, runner }) => {
    const call = (headers: Record<string, string>): Promise<Response> => fetch(`${url}/x`, { method: "POST", headers });
    equal((await call({ "x-key": "secret-2", "mayfly-caller": "ada" })).status, 204);
    const headers = JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>;
    deepEqual([headers["mayfly-caller"], headers["x-key"]], ["grace", undefined]);
    equal((await call({ authorization: "Bearer token" })).status, 204);
    const wrong = await call({ "x-key": "secret-3" });
    deepEqual([wrong.status, wrong.headers.get("www-authenticate"), await code(wrong)], [401, 'Bearer realm="mayfly"', "MF_UNAUTHORIZED"]);
    const none = await call({});
    equal(none.status, 401);
    match(((await none.json()) as { detail: string }).detail, /the header x-key or the authorization header/);
    equal(runner.delivered.length, 2);
  });
});

test("an id of one caller is no other's", async () => {
  const auth = "auth: { apiKey: { keys: { ada: secret-1, grace: secret-2 } } }";
  await withGateway(flow(auth, ", dedup: {}"), { f: () => [done()] }, async ({ url, runner }) => {
    for (const key of ["secret-1", "secret-1", "secret-2"])
      equal((await fetch(`${url}/x`, { method: "POST", headers: { "x-api-key": key, "idempotency-key": "7" } })).status, 204);
    equal(runner.delivered.length, 2);
  });
});

const body = '{"event":"paid"}';
const standard = Buffer.from("a standard secret");
const presets: Readonly<Record<string, (secret: string, seconds: number) => Record<string, string>>> = {
  github: (secret) => ({ "x-hub-signature-256": `sha256=${hmac(secret, body)}` }),
  shopify: (secret) => ({ "x-shopify-hmac-sha256": hmac(secret, body, "base64") }),
  stripe: (secret, at) => ({ "stripe-signature": `t=${at},v1=${"0".repeat(64)},v1=${hmac(secret, `${at}.${body}`)},v0=x` }),
  slack: (secret, at) => ({ "x-slack-request-timestamp": String(at), "x-slack-signature": `v0=${hmac(secret, `v0:${at}:${body}`)}` }),
  standard: (secret, at) => ({
    "webhook-id": "m1",
    "webhook-timestamp": String(at),
    "webhook-signature": `v1,AAAA v1,${hmac(Buffer.from(secret.slice(6), "base64"), `m1.${at}.${body}`, "base64")}`,
  }),
};
for (const [preset, sign] of Object.entries(presets)) {
  test(`a signature as ${preset} has it is checked before anything is answered, and old ones are refused`, async () => {
    const secret = preset === "standard" ? `whsec_${standard.toString("base64")}` : "shh";
    await withGateway(
      flow(`auth: { hmac: { preset: ${preset}, secret: [next, "${secret}"] } }`, ", dedup: {}"),
      { f: () => [done()] },
      async ({ url, runner }) => {
        const call = (headers: Record<string, string>, text = body): Promise<Response> =>
          fetch(`${url}/x`, { method: "POST", body: text, headers: { ...headers, "idempotency-key": "1" } });
        equal((await call(sign(secret, now()))).status, 204);
        const changed = await call(sign(secret, now()), body.replace("paid", "void"));
        deepEqual([changed.status, await code(changed)], [401, "MF_SIGNATURE_INVALID"], "not the duplicate's reply");
        equal(await code(await call(sign("whsec_AAAA", now()))), "MF_SIGNATURE_INVALID");
        equal(await code(await call({})), "MF_UNAUTHORIZED");
        const old = await call(sign(secret, now() - 3600));
        equal(old.status, preset === "github" || preset === "shopify" ? 204 : 401);
        if (old.status === 401) equal(await code(old), "MF_SIGNATURE_EXPIRED");
        equal(runner.delivered.length, 1);
      },
    );
  });
}

test("a signature of another form", async () => {
  const auth = 'auth: { hmac: { header: x-signature, algorithm: sha512, encoding: base64, prefix: "v=", secret: shh } }';
  await withGateway(flow(auth), { f: () => [done()] }, async ({ url }) => {
    const signature = createHmac("sha512", "shh").update(body).digest("base64");
    equal((await fetch(`${url}/x`, { method: "POST", body, headers: { "x-signature": `v=${signature}` } })).status, 204);
    equal((await fetch(`${url}/x`, { method: "POST", body, headers: { "x-signature": signature } })).status, 401);
  });
});

test("pages of named origins may call and read, errors of the gateway included; others may not", async () => {
  const cors =
    'cors: { origins: ["https://shop.example", "https://*.shop.example"], credentials: true, expose: [x-total] }, auth: { bearer: t }';
  await withGateway(flow(`method: [GET, PUT], ${cors}`), { f: () => [done("ok")] }, async ({ url, runner }) => {
    const from = (origin: string, more: RequestInit = {}, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${url}/x`, { ...more, headers: { origin, authorization: "Bearer t", ...headers } });
    const allowed = (response: Response): unknown[] =>
      ["origin", "credentials"].map((name) => response.headers.get(`access-control-allow-${name}`));
    const good = await from("https://shop.example");
    deepEqual([good.status, allowed(good), good.headers.get("vary")], [200, ["https://shop.example", "true"], "origin"]);
    ok(good.headers.get("access-control-expose-headers")?.includes("mayfly-message-id, mayfly-duplicate, retry-after, x-total"));
    deepEqual(allowed(await from("https://eu.shop.example")), ["https://eu.shop.example", "true"]);
    for (const origin of ["https://evil.example", "https://shop.example.evil", "http://shop.example", "https://evilshop.example", "null"])
      deepEqual(allowed(await from(origin)), [null, null], origin);
    const denied = await from("https://shop.example", {}, { authorization: "Bearer x" });
    deepEqual([denied.status, allowed(denied)], [401, ["https://shop.example", "true"]]);
    const wrong = await from("https://shop.example", { method: "DELETE" });
    deepEqual([wrong.status, allowed(wrong)], [405, ["https://shop.example", "true"]]);
    const ran = runner.delivered.length;
    const asked = { "access-control-request-method": "PUT", "access-control-request-headers": "content-type, x-api-key" };
    const preflight = await from("https://shop.example", { method: "OPTIONS" }, asked);
    deepEqual(
      [
        preflight.status,
        allowed(preflight),
        ...["methods", "headers"].map((name) => preflight.headers.get(`access-control-allow-${name}`)),
        preflight.headers.get("access-control-max-age"),
      ],
      [204, ["https://shop.example", "true"], "GET, PUT", "content-type, x-api-key", "600"],
    );
    deepEqual(allowed(await from("https://evil.example", { method: "OPTIONS" }, asked)), [null, null]);
    equal(runner.delivered.length, ran, "a preflight runs nothing");
  });
});

test("every origin, without credentials; a path without cors says nothing", async () => {
  const two = `flows: { f: { image: f.mfi, from: [ { http: { path: /x, cors: { origins: ["*"], headers: [content-type] } } }, { http: { path: /y } } ] } }`;
  await withGateway(two, { f: () => [done("ok")] }, async ({ url }) => {
    const headers = { origin: "https://any.example" };
    const open = await fetch(`${url}/x`, { method: "POST", headers });
    deepEqual([open.headers.get("access-control-allow-origin"), open.headers.get("vary")], ["*", null]);
    const asked = { ...headers, "access-control-request-method": "POST", "access-control-request-headers": "x-other" };
    equal((await fetch(`${url}/x`, { method: "OPTIONS", headers: asked })).headers.get("access-control-allow-headers"), "content-type");
    const closed = await fetch(`${url}/y`, { method: "OPTIONS", headers: asked });
    deepEqual([closed.headers.get("access-control-allow-origin"), closed.headers.get("allow")], [null, "OPTIONS, POST"]);
  });
});

const replyWith = (headers: object): Effect => ({
  kind: "done",
  reply: { status: 200, contentType: "text/plain", headersJson: JSON.stringify(headers), body: Buffer.alloc(5_000, "a") },
});

test("an answer depends on the origin whatever else it depends on", async () => {
  const cors = 'compress: true, cors: { origins: ["https://shop.example"] }';
  for (const headers of [{}, { vary: "accept-language" }, { vary: ["accept-language", "origin"] }])
    await withGateway(flow(cors), { f: () => [replyWith(headers)] }, async ({ url }) => {
      const response = await fetch(`${url}/x`, { method: "POST", headers: { origin: "https://shop.example", "accept-encoding": "gzip" } });
      equal(response.headers.get("content-encoding"), "gzip");
      const vary = response.headers.get("vary")?.split(", ") ?? [];
      ok(
        ["origin", "accept-encoding"].every((each) => vary.includes(each)),
        vary.join(),
      );
    });
});

test("a reply keeps all values of a header beside those of CORS and rate limits", async () => {
  const http = 'cors: { origins: ["https://shop.example"] }, rateLimit: { rate: 9/h }';
  await withGateway(flow(http), { f: () => [replyWith({ "set-cookie": ["a=1", "b=2"], vary: "cookie" })] }, async ({ url }) => {
    const { headers } = await fetch(`${url}/x`, { method: "POST", headers: { origin: "https://shop.example" } });
    deepEqual([headers.getSetCookie(), headers.get("vary"), headers.get("ratelimit-remaining")], [["a=1", "b=2"], "origin, cookie", "8"]);
  });
});

test("a preflight names the methods of the source that allows the origin, not those of another on the path", async () => {
  const shop = `{ http: { path: /x, method: [GET, PUT], cors: { origins: ["https://shop.example"] } } }`;
  const back = `{ http: { path: /x, method: DELETE, cors: { origins: ["https://back.example"] } } }`;
  await withGateway(`flows: { f: { image: f.mfi, from: [ ${shop}, ${back} ] } }`, { f: () => [done("ok")] }, async ({ url }) => {
    const methods = async (origin: string, method: string): Promise<string | null> => {
      const headers = { origin, "access-control-request-method": method };
      return (await fetch(`${url}/x`, { method: "OPTIONS", headers })).headers.get("access-control-allow-methods");
    };
    equal(await methods("https://shop.example", "PUT"), "GET, PUT");
    equal(await methods("https://back.example", "DELETE"), "DELETE");
    equal(await methods("https://back.example", "PUT"), null);
  });
});

test("credentials for every origin are a mistake in mayfly.yaml", async () => {
  await rejects(
    withGateway(flow('cors: { origins: ["*"], credentials: true }'), { f: () => [done()] }, async () => undefined),
    /flows\.f\.from\[0\]\.http\.cors\.origins/,
  );
});

test("a caller who asks too often is told when to come again, and holds up nobody else", async () => {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const http = "auth: { apiKey: { keys: { ada: secret-1, grace: secret-2 } } }, rateLimit: { rate: 3/m }";
  let ticking: NodeJS.Timeout | undefined;
  const run = async ({ url, runner }: Rig): Promise<void> => {
    const call = (key: string): Promise<Response> => fetch(`${url}/x`, { method: "POST", headers: { "x-api-key": key } });
    const limits = (response: Response): unknown[] =>
      ["limit", "remaining", "reset"].map((name) => Number(response.headers.get(`ratelimit-${name}`)));
    deepEqual(limits(await call("secret-1")), [3, 2, 20]);
    deepEqual(limits(await call("secret-1")), [3, 1, 40]);
    deepEqual(limits(await call("secret-1")), [3, 0, 60]);
    const refused = await call("secret-1");
    deepEqual(
      [refused.status, refused.headers.get("retry-after"), ...limits(refused), await code(refused)],
      [429, "20", 3, 0, 60, "MF_RATE_LIMIT"],
    );
    equal((await call("secret-2")).status, 204);
    equal((await call("wrong")).headers.get("ratelimit-limit"), null, "who is nobody is not counted");
    clock.advance(20_000);
    equal((await call("secret-1")).status, 204);
    equal((await call("secret-1")).status, 429);
    equal(runner.delivered.length, 5);
  };
  await withGateway(
    flow(http),
    { f: () => [done()] },
    (rig) => run(rig).finally(() => (ticking = setInterval(() => clock.advance(100), 1))),
    { clock },
  ).finally(() => clearInterval(ticking));
});

test("a stranger with a wrong signature uses up nothing of the sender's rate", async () => {
  const http = "auth: { hmac: { preset: github, secret: shh } }, rateLimit: { rate: 1/h }";
  await withGateway(flow(http), { f: () => [done()] }, async ({ url }) => {
    const call = async (secret: string): Promise<number> => {
      const headers = { "x-hub-signature-256": `sha256=${hmac(secret, body)}` };
      return (await fetch(`${url}/x`, { method: "POST", body, headers })).status;
    };
    deepEqual([await call("wrong"), await call("wrong"), await call("shh"), await call("shh")], [401, 401, 204, 429]);
  });
});

test("addresses are counted by network; long names are told apart by their ends", () => {
  const clock = new ManualClock();
  const rate = { count: 1, windowMs: 1000 };
  const byAddress = new RateLimiter({ rate, by: "address" }, clock);
  const allows = (limiter: RateLimiter, request: object, credentials = ""): boolean =>
    limiter.take(request as IncomingMessage, credentials, (request as { address?: string }).address).allowed;
  const at = (remoteAddress: string): boolean => allows(byAddress, { headers: {}, address: remoteAddress });
  deepEqual(["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(at), [
    true,
    false,
    true,
    true,
    false,
    true,
  ]);
  const byHeader = new RateLimiter({ rate, by: "header:x-tenant" }, clock);
  const from = (tenant: string): boolean => allows(byHeader, { headers: { "x-tenant": tenant } });
  const long = "t".repeat(1_000);
  deepEqual([from(`${long}1`), from(`${long}2`), from(`${long}1`)], [true, true, false]);
  const byCaller = new RateLimiter({ rate, by: "caller" }, clock);
  deepEqual(
    ["1", "2", "1"].map((end) => allows(byCaller, { headers: {} }, long + end)),
    [true, true, false],
  );
});

test("callers are counted by a header where that says who they are; however many, memory is bounded", () => {
  const clock = new ManualClock();
  const limiter = new RateLimiter({ rate: { count: 1, windowMs: 1000 }, by: "header:x-tenant" }, clock);
  const from = (tenant: string | undefined): boolean => limiter.take({ headers: { "x-tenant": tenant } }, "", "::1").allowed;
  deepEqual([from("a"), from("a"), from("b"), from(undefined), from(undefined)], [true, false, true, true, false]);
  for (let n = 0; n < 250_000; n += 1) from(`t${n}`);
  equal(from("t249999"), false);
  equal(from("a"), true, "who has rested longest was forgotten");
});

test("over any schedule nobody gets more than the rate and its burst, nor waits longer than told", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 10, max: 10_000 }),
      fc.array(fc.nat(3000), { maxLength: 200 }),
      (count, windowMs, pauses) => {
        const clock = new ManualClock(0);
        const limiter = new RateLimiter({ rate: { count, windowMs }, by: "caller" }, clock);
        const request = { headers: {} };
        const taken: number[] = [];
        for (const pause of pauses) {
          clock.advance(pause % 7 === 0 ? 0 : pause);
          const { allowed, waitMs } = limiter.take(request, "ada", undefined);
          if (allowed) taken.push(clock.monotonicMs());
          else {
            clock.advance(Math.ceil(waitMs));
            ok(limiter.take(request, "ada", undefined).allowed, "it was told to come now");
            taken.push(clock.monotonicMs());
          }
        }
        for (const [index, atMs] of taken.entries()) {
          const within = taken.slice(index).filter((each) => each < atMs + windowMs).length;
          ok(within <= 2 * count, `${within} in a window of ${count}`);
        }
      },
    ),
  );
});
