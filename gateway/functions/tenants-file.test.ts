/** The file of tenants: what it means, and what is wrong with it; and the settings that docs/FUNCTIONS.md shows. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { err, isCoded, ok as found } from "#base";
import { connectors } from "#connectors";
import type { Ceilings } from "../contract/config.ts";
import { readConfig } from "../config/read.ts";
import { isResident, pathsOf, readFragment } from "./fragment.ts";
import { parseTenants } from "./tenants-file.ts";
import { keyHash, onlyTenant, type Tenants } from "./tenants.ts";

const ceilings: Ceilings = { memory: 2 ** 26, cpu: 500, time: 60_000, sends: 100, log: 1_000 };
const key = "key-of-acme-0123456789";

function read(text: string, environment: Readonly<Record<string, string>> = { KEY: key }): Tenants {
  return parseTenants(text, "tenants.yaml", ceilings, environment, (name) => err(`has no ${name}`));
}

test("keys are known by their text and by their hash, with their scopes; limits are the lower of the tenant's and the gateway's", () => {
  const hash = `sha256:${Buffer.from(keyHash("key-of-other-0123456789")).toString("hex")}`;
  const tenants = read(
    `tenants: { acme: { keys: { ci: { key: "\${KEY}" } }, limits: { cpu: 10s, memory: 1MiB } }, other: { keys: { a: { hash: "${hash}", scopes: [read] } } } }`,
  );
  deepEqual(tenants.ofKey(key), { tenant: "acme", by: "ci", scopes: ["deploy", "read"] });
  deepEqual(tenants.ofKey("key-of-other-0123456789"), { tenant: "other", by: "a", scopes: ["read"] });
  equal(tenants.ofKey("another"), undefined);
  deepEqual(tenants.need("acme").limits, { memory: 2 ** 20, cpu: 500, time: 60_000, sends: 100, log: 1_000 });
  deepEqual([tenants.need("acme").prefix, tenants.single, onlyTenant(ceilings).single], ["/acme", false, true]);
});

test("each fault is told with its place", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["tenants: [", /is not YAML/],
    ["{}", /"tenants" is missing/],
    ["tenants: { acme: { functoins: 3 } }", /tenants\.acme\.functoins: unknown key "functoins".*functions/],
    ["tenants: { acme: { limits: { cpu: soon } } }", /tenants\.acme\.limits\.cpu: must be a duration/],
    ["tenants: { acme: { sources: [nats] } }", /tenants\.acme\.sources\[0\]: must be one of http, cron/],
    ["tenants: { acme: { keys: { ci: { key: short } } } }", /tenants\.acme\.keys\.ci\.key: must have at least 20 characters/],
    ["tenants: { acme: { keys: { ci: {} } } }", /must have either key or hash/],
    ['tenants: { acme: { keys: { ci: { key: "${NONE}" } } } }', /tenants\.acme\.keys\.ci\.key: has no NONE/],
    ["tenants: { a--b: {} }", /tenants\.a--b: a tenant's name/],
    ["tenants: { metrics: {} }", /tenants\.metrics: a tenant's name/],
    ["tenants: { acme: { hosts: [http://x] } }", /tenants\.acme\.hosts\[0\]: must be a host/],
    ["tenants: { acme: { networks: [inner] } }", /tenants\.acme\.networks\[0\]: must be an IP address or a network such as/],
    ["tenants: { acme: { networks: [10.0.0.1/8] } }", /tenants\.acme\.networks\[0\]: has bits beyond its prefix/],
    ['tenants: { a: { keys: { x: { key: "${KEY}" } } }, b: { keys: { y: { key: "${KEY}" } } } }', /is the same key as tenants\.a\.keys\.x/],
  ];
  for (const [text, pattern] of cases)
    throws(
      () => read(text),
      (error) => isCoded(error) && error.code === "MF_TENANTS_INVALID" && pattern.test(error.message),
      text,
    );
});

test("the settings in docs/FUNCTIONS.md are taken", () => {
  const document = readFileSync(fileURLToPath(new URL("../../../docs/FUNCTIONS.md", import.meta.url)), "utf8");
  const blocks = [...document.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
  equal(blocks.length, 4);
  const [config = "", fragment = "", platform = "", tenantsText = ""] = blocks;
  const options = { ...connectors, environment: { ADMIN_TOKEN: "x" } };
  for (const text of [config, platform]) ok(readConfig(text, "/srv/mayfly.yaml", options).functions?.dir.endsWith("/journal/functions"));
  const tenants = read(tenantsText, { ACME_KEY: key });
  deepEqual(
    tenants.need("acme").keys.map(({ name }) => name),
    ["ci", "ops"],
  );
  const [tenant] = [onlyTenant(ceilings).need("")];
  const secrets = { value: () => found("secret") };
  const settings = readFragment(
    fragment,
    { tenant, name: "hello", share: { name: "x", weight: 1 } },
    { connectors, base: "/srv", secrets },
  );
  deepEqual([pathsOf(settings), isResident(settings), settings.limits.cpu], [["/hello/:name"], false, 100]);
  match(JSON.stringify(settings.to), /"bearer":"secret"/);
});
