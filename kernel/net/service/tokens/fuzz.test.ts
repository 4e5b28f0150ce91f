/** Damaged tokens, judged in V8 by the guest's code and by the gateway's, with the same keys. */
import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { memoryBudget } from "#base";
import { seed } from "../../../../base/testing/seed.ts";
import { Authentication } from "../../../../gateway/contract/http/authentication.ts";
import { withPeer } from "../../../../gateway/testing/rig.ts";
import { bodyOf, plainFlow, ServiceBench, statusOf } from "../../testing/service.ts";
import { damaged, isCanonical, rules, TokenIssuer } from "../../testing/tokens.ts";

const route = plainFlow.routes[0] as (typeof plainFlow.routes)[number];

test("whatever a token looks like, it is taken or refused as the gateway does, or refused where jose reads over something", async () => {
  const issuer = await TokenIssuer.create();
  const tokens = await issuer.tokens();
  await withPeer(
    (_request, response) => response.end(issuer.jwks),
    async (url) => {
      const config = { ...rules, jwks: url, tolerance: 5_000 };
      const authentication = new Authentication([{ jwt: config }, { bearer: "fixed" }], {
        memory: memoryBudget(2 ** 24),
        logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
      });
      const gateway = async (text: string): Promise<readonly unknown[]> => {
        const headers = { authorization: `Bearer ${text}` };
        const known = authentication.byHeaders(headers, undefined);
        const token = authentication.tokenOf(headers);
        const found =
          known !== undefined && "status" in known && token !== undefined ? await authentication.byToken(token, Date.now()) : known;
        if (found === undefined || "status" in found) return [found?.status, found?.code];
        return [204, found.name ?? null, JSON.parse(found.claimsJson ?? "null")];
      };
      let delivered: Record<string, string> = {};
      const bench = await ServiceBench.create({
        tokens: true,
        names: { "127.0.0.1": 0x7f000001 },
        service: {
          routes: [{ ...route, auth: 0 }],
          auth: [
            [
              {
                type: "jwt",
                header: "authorization",
                caller: undefined,
                secret: url,
                token: {
                  ...{ algorithms: rules.algorithms, issuers: rules.issuer, audiences: [rules.audience], scopes: rules.scopes },
                  ...{ claims: rules.claims, toleranceMs: 5_000 },
                },
              },
              { type: "bearer", header: "authorization", caller: undefined, secret: "fixed" },
            ],
          ],
        },
        run: (event) => {
          if (event.kind === "deliver") delivered = JSON.parse(event.headersJson) as Record<string, string>;
          return [{ kind: "done", reply: undefined }];
        },
      });
      bench.host.wallMs = Date.now();
      bench.pass(0);
      const [peer] = bench.connected;
      ok(peer !== undefined);
      bench.connect(peer);
      bench.send(peer, `HTTP/1.1 200 OK\r\nContent-Length: ${issuer.jwks.length}\r\n\r\n${issuer.jwks}`);
      bench.close(peer);
      const guest = (text: string): readonly unknown[] => {
        const answer = bench.ask(`POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${text}\r\nContent-Length: 0\r\n\r\n`);
        const status = statusOf(answer);
        if (status !== 204) return [status, (JSON.parse(bodyOf(answer)) as { code: string }).code];
        return [204, delivered["mayfly-caller"] ?? null, JSON.parse(delivered["mayfly-claims"] ?? "null")];
      };
      let taken = 0;
      const check = async (text: string): Promise<void> => {
        bench.host.wallMs = Date.now();
        const expected = await gateway(text);
        const isLoose = !isCanonical(text) && text.split(".").length === 3;
        deepEqual(guest(text), isLoose && text !== "fixed" ? [401, "MF_TOKEN_INVALID"] : expected, text);
        if (expected[0] === 204) taken++;
      };
      for (const token of tokens) await check(token);
      ok(taken > 10, `${taken} tokens are good`);
      await fc.assert(fc.asyncProperty(damaged(tokens), check), { seed, numRuns: 3_000 });
      await authentication.close();
    },
  );
});
