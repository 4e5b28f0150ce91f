/** Settings that a microVM is started with, and its ports. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { isCoded } from "#base";
import { configText, portsOf, readConfigFile, settingsOf } from "#standalone";
import type { Service, ServiceOutlet } from "#abi";
import { changed } from "../../abi/testing/changed.ts";
import { services } from "../../abi/testing/services.ts";
import { checkFree, parsePort } from "./ports.ts";

const some = fc.sample(services, { seed: 3, numRuns: 1 })[0] as Service;
const outlet: ServiceOutlet = {
  ...{ name: "erp", scheme: "http", host: "erp", port: 80, path: "/", method: "POST", timeoutMs: 1, attempts: 1 },
  ...{ backoffMs: { least: 1, most: 2 }, retryAgeMs: 1, basic: undefined, headers: {} },
};
const bare = { ...some, flows: some.flows.slice(0, 1) };
const service = changed(bare, { name: "api", port: 80, healthPort: 0, auth: [], outlets: [], values: {}, syslog: undefined });
const none = { settings: {} };

test("settings are found in all texts, and are optional where every reference has a default", () => {
  const found = settingsOf(
    changed(service, {
      auth: [[{ type: "bearer", header: "authorization", caller: undefined, secret: "${TOKEN}" }]],
      outlets: [{ ...outlet, host: "${ERP:-http://x}", headers: { a: "x ${TOKEN:-y} $${NOT}" } }],
      values: { v: "${A:-}${B}", w: "${B:-b}" },
    }),
  );
  deepEqual(Object.fromEntries([...found].map(([name, { optional }]) => [name, optional])), { TOKEN: false, ERP: true, A: true, B: false });
});

test("the file counts before the environment, and only settings of the service go into the microVM", () => {
  const wanted = changed(service, { values: { a: "${A}", b: "${B}", c: "${C:-c}" } });
  const file = { settings: { A: "file", OTHER: "x" }, network: { address: "10.0.0.2/24" } };
  deepEqual(JSON.parse(configText(wanted, file, { A: "environment", B: "environment", SECRET: "s" })), {
    settings: { A: "file", B: "environment" },
    network: { address: "10.0.0.2/24" },
  });
  throws(() => configText(wanted, none, {}), {
    code: "MF_MICROVM_SETTING",
    message: /the service needs A, B: set them in the environment/,
  });
  throws(() => configText(wanted, none, { A: "x".repeat(20_000), B: "b" }), { code: "MF_MICROVM_CONFIG" });
});

test("a URL that only settings tell is looked at before the start", () => {
  const wanted = changed(service, { outlets: [{ ...outlet, host: "${ERP:-http://erp}", port: 0, path: "" }] });
  equal(configText(wanted, none, { ERP: "http://other:1/a" }), '{"settings":{"ERP":"http://other:1/a"}}');
  equal(configText(wanted, none, {}), '{"settings":{}}');
  const issuer = { ...wanted, auth: [[{ type: "jwt", header: "authorization", caller: undefined, secret: "${KEYS}" } as const]] };
  throws(() => configText(issuer, none, { ERP: "http://e", KEYS: "https://id" }), {
    code: "MF_STANDALONE_HTTPS",
    message: /jwks an https URL/,
  });
  throws(() => configText(wanted, none, { ERP: "https://erp" }), { code: "MF_STANDALONE_HTTPS", message: /the outlet "erp" an https URL/ });
  throws(() => configText(wanted, none, { ERP: "erp:80" }), { code: "MF_MICROVM_CONFIG" });
});

test("a file with settings is read, or refused with what it must be; it never fails otherwise", () => {
  deepEqual(readConfigFile('{"settings":{"A":"1"},"network":{"address":"10.0.0.2/24","dns":"10.0.0.3"}}', "c.json"), {
    settings: { A: "1" },
    network: { address: "10.0.0.2/24", dns: "10.0.0.3" },
  });
  for (const text of [
    "",
    "[]",
    "null",
    '{"setings":{}}',
    '{"settings":{"A":1}}',
    '{"settings":[]}',
    '{"network":{"gateway":"g"}}',
    '{"network":{"address":"a","x":"y"}}',
  ])
    throws(() => readConfigFile(text, "c.json"), { code: "MF_MICROVM_CONFIG", message: /^c\.json / }, text);
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      try {
        readConfigFile(text, "c.json");
      } catch (error) {
        equal(isCoded(error) && error.code, "MF_MICROVM_CONFIG");
      }
    }),
  );
});

test("ports: written in full, in part, wrong, and of nobody", () => {
  deepEqual(parsePort("8080:80"), { address: "127.0.0.1", host: 8080, guest: 80 });
  deepEqual(parsePort("0.0.0.0:8080:80"), { address: "0.0.0.0", host: 8080, guest: 80 });
  deepEqual(portsOf([], service), [{ address: "127.0.0.1", host: 80, guest: 80 }]);
  deepEqual(portsOf(["80"], service), [{ address: "127.0.0.1", host: 80, guest: 80 }]);
  for (const text of ["", "a", "0:80", "80:0", "65536:80", "80:80:80", "1.2.3.4:80:80:80", "host:80:80", "80:80,x=y", "-1:80", "1e3:80"])
    throws(() => parsePort(text), { code: "MF_MICROVM_PORT" }, text);
  throws(() => portsOf(["8080:81"], service), { code: "MF_MICROVM_PORT", message: /api listens on 80, and not on 81: -p 8080:80/ });
});

test("a port that somebody has is told before anything starts", async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const pair = { address: "127.0.0.1", host: port, guest: 80 };
  await checkFree(pair).then(
    () => throws(() => undefined),
    (error: unknown) => equal(isCoded(error) && error.code, "MF_PORT_IN_USE"),
  );
  await new Promise((done) => server.close(done));
  await checkFree(pair);
});
