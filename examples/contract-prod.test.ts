/** The façade behind a real identity provider, as `--profile prod` serves it: both sides by tokens. */
import { deepEqual, equal } from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import { type IdentityProvider, identityProvider } from "../connectors/testing/identity-provider.ts";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

const order = { customer: "ada", lines: [{ sku: "LAMP-1", quantity: 2 }] };
const clients = { web: "of the web", facade: "of the facade" };
const audience = "https://shop.example";
let identity: IdentityProvider;
let peer: Downstream;
let example: ServedExample;

before(async () => {
  identity = await identityProvider({ clients, audience, scopes: ["orders.write", "orders.read", "stock.read"] });
  peer = await downstream(({ path, headers }) => {
    if (headers.authorization === undefined) return { status: 401 };
    return { json: path.startsWith("/stock") ? { "LAMP-1": 5 } : { ...order, id: "0000000a" } };
  });
  example = await serveExample("contract", {
    MAYFLY_PROFILE: "prod",
    ISSUER: identity.issuer,
    FACADE_SECRET: clients.facade,
    WAREHOUSE_URL: `${peer.url}/stock`,
    ORDERS_URL: `${peer.url}/orders`,
  });
});
after(async () => {
  await example?.stop();
  await peer?.close();
  identity?.close();
});

async function place(token?: string): Promise<readonly [status: number, code: string | undefined]> {
  const headers = { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const response = await fetch(`${example.url}/v1/orders`, { method: "POST", headers, body: JSON.stringify(order) });
  return [response.status, ((await response.json()) as { code?: string }).code];
}

test("only a token of the provider with the scope gets to the flow", async () => {
  deepEqual(await place(), [401, "MF_UNAUTHORIZED"]);
  deepEqual(await place("not.a.token"), [401, "MF_TOKEN_INVALID"]);
  deepEqual(await place(await identity.token("web", "orders.read")), [403, "MF_FORBIDDEN"]);
  equal(peer.received.length, 0);
  deepEqual(await place(await identity.token("web", "orders.write")), [201, undefined]);
});

test("both systems behind are asked with one token of the façade's own", async () => {
  const token = await identity.token("web", "orders.read");
  const shown = await fetch(`${example.url}/v1/orders/0000000a`, { headers: { authorization: `Bearer ${token}` } });
  deepEqual([shown.status, await shown.json()], [200, { ...order, id: "0000000a" }]);
  await peer.until("/orders", 1);
  const tokens = new Set(peer.received.map(({ headers }) => headers.authorization?.replace("Bearer ", "") ?? ""));
  equal(tokens.size, 1, "one token serves all flows and outlets of a client");
  const [own] = tokens;
  const keys = createRemoteJWKSet(new URL(`${identity.issuer}/jwks`));
  const { payload } = await jwtVerify(own ?? "", keys, { issuer: identity.issuer, audience });
  deepEqual([payload["client_id"], payload["scope"]], ["facade", "stock.read orders.write"]);
  equal(decodeJwt(token)["client_id"], "web");
});
