/** Values that may be one of several things, and values that the environment lacks. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import { connectors } from "#connectors";
import type { GatewayConfig } from "../contract/config.ts";
import { ConfigError } from "./problem.ts";
import { readConfig, readConfigWithout } from "./read.ts";

const options = { ...connectors, environment: {} };
const flowWith = (entries: string): string => `flows:\n  f:\n    image: f.mfi\n${entries}`;

function told(entries: string): string[] {
  try {
    readConfig(flowWith(entries), "mayfly.yaml", options);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path.replace(/^flows\.f\./, "")}: ${message}`);
  }
}
const from = (source: string): string => `    from: [ ${source} ]`;
const sftp = (settings: string): string => from(`{ sftp: { host: h, user: u, dir: d, ${settings} } }`);

test("a value that may be several things gets one sentence, of what it seems meant for", () => {
  const key = `SHA256:${"A".repeat(43)}`;
  deepEqual(told(sftp("password: x, hostKey: any")), []);
  deepEqual(told(sftp(`password: x, hostKey: ["${key}"]`)), []);
  deepEqual(told(sftp("password: x, hostKey: SHA256:abc")), ["from[0].sftp.hostKey: must be a fingerprint such as SHA256:…"]);
  deepEqual(told(sftp("password: x, hostKey: [abc]")), ["from[0].sftp.hostKey[0]: must be a fingerprint such as SHA256:…"]);
  deepEqual(told(sftp("password: x, hostKey: 5")), ['from[0].sftp.hostKey: must be "any", string or array']);
  deepEqual(told(sftp(`hostKey: "${key}"`)), ['from[0].sftp: "password" or "privateKey" is missing']);
  deepEqual(told(from("{ http: { path: /x, method: 5 } }")), ["from[0].http.method: must be string or array"]);
  deepEqual(told(from("{ http: { path: /x, auth: { hmac: { secret: s } } } }")), [
    'from[0].http.auth.hmac: "preset" or "header" is missing',
  ]);
  deepEqual(told('    to: { q: { amqp: { url: "amqp://h" } } }'), ['to.q.amqp: "queue" or "exchange" is missing']);
});

test("what the environment lacks is left out for who does not serve it, and the rest is checked all the same", () => {
  const read = (entries: string): GatewayConfig => readConfigWithout(flowWith(entries), "/some/mayfly.yaml", options);
  const { f } = read(`    from:
      - sftp: { host: "\${HOST}", port: "\${PORT}", user: "\${USER_NAME}", password: "\${PASSWORD}", hostKey: "\${KEY}", dir: d, settle: "\${SETTLE}" }
      - kafka: { brokers: ["\${BROKER}"], topics: [t] }
    to: { erp: { http: { url: "\${ERP}", timeout: "\${WAIT}" } } }
    values: { token: "\${TOKEN}", stage: test }
    limits: { time: "\${TIME}" }
    key: "\${WHAT}"`).flows;
  deepEqual(
    f?.from.map(({ connector }) => connector),
    ["sftp", "kafka"],
  );
  deepEqual([Object.keys(f?.to ?? {}), f?.values, f?.key], [["erp"], { "mayfly-value-stage": "test" }, undefined]);
  equal(typeof f?.limits.time, "undefined", "the default counts");
  const admin = readConfigWithout(
    `http: { admin: { port: 9090, token: "\${TOKEN}" } }\n${flowWith('    from: [ { http: { path: /a, auth: { bearer: "${TOKEN}" } } } ]')}`,
    "/some/mayfly.yaml",
    options,
  );
  equal(admin.http.admin.port, 9090, "a port needs the token, which is there as it is written");
  throws(() => read('    from: [ { http: { path: "${PATH_OF_IT}", methd: POST } } ]'), /unknown key "methd"/);
  throws(() => read('    limits: { time: "${TIME}", memory: 5 }'), /limits\.memory: must be a size/);
});
