/** Tenants of deployed functions: none sees, overwrites, starves or bills another. */
import { deepEqual, equal, match, ok, notEqual } from "node:assert/strict";
import { test } from "node:test";
import type { Script } from "../../gateway/testing/scripted.ts";
import { done } from "../../gateway/testing/scripted.ts";
import { type Answered, hashOf, imageBytes, type Platform, withPlatform } from "../../gateway/functions/testing/platform.ts";

const acme = "acme-key-0123456789abcdef";
const acmeReader = "acme-reader-0123456789abcdef";
const evil = "evil-key-0123456789abcdef";

const tenants = `tenants:
  acme:
    keys:
      ci: { key: ${acme}, scopes: [deploy, read, invoke, secrets] }
      reader: { key: ${acmeReader}, scopes: [read] }
    hosts: [api.example.com]
  evil:
    keys: { own: { key: ${evil}, scopes: [deploy, read, invoke, secrets] } }
    hosts: ["*.evil.example"]
    functions: 2
    requests: 5/m
    cpu: 1h
    deploys: 60/m
    queue: 4
    limits: { memory: 32MiB, cpu: 100ms }
`;

const scripts: Readonly<Record<string, Script>> = { good: () => [done("good")], bad: () => [done("bad")], hung: () => undefined };

const run = (test: (platform: Platform) => Promise<void>, text = tenants): Promise<void> => withPlatform(scripts, test, { tenants: text });

const codes = (answers: readonly Answered[]): string[] => answers.map(({ status, value }) => `${status} ${String(value["code"])}`);

test("a tenant sees nothing of another: functions, logs, images, secrets, usage", async () => {
  await run(async (platform) => {
    equal((await platform.deploy("shop", { script: "good" }, { key: acme })).status, 201);
    await platform.askAs(acme, "PUT", "secrets/KEY", { body: "hunter2" });
    const as = (method: string, path: string): Promise<Answered> => platform.askAs(evil, method, path);
    const unknown = codes([
      await as("GET", "functions/shop"),
      await as("GET", "functions/shop/logs"),
      await as("POST", "functions/shop/invoke"),
      await as("DELETE", "functions/shop"),
      await as("DELETE", "secrets/KEY"),
    ]);
    deepEqual(unknown, [...Array.from({ length: 4 }, () => "404 MF_FUNCTION_UNKNOWN"), "404 MF_SECRET_UNKNOWN"]);
    deepEqual((await as("GET", "functions")).value, { functions: [], next: null });
    deepEqual((await as("GET", "secrets")).value, { secrets: [] });
    ok(!JSON.stringify((await as("GET", "usage")).value).includes("acme"));
    const there = codes([
      await as("GET", "functions?tenant=acme"),
      await as("PUT", "secrets/KEY?tenant=acme"),
      await as("GET", "functions?tenant=none"),
    ]);
    deepEqual(
      there,
      Array.from({ length: 3 }, () => "403 MF_TENANT_DENIED"),
    );
    const image = `sha256:${hashOf(imageBytes({ script: "good" }))}`;
    equal((await as("HEAD", `images/${image}`)).status, 404, "that another has uploaded an image is not told");
    equal(
      (await platform.askAs(evil, "PUT", "functions/mine", { body: { image } })).value["code"],
      "MF_FUNCTION_IMAGE",
      "nor can it be deployed",
    );
    const secret = 'values: { key: "${secret:KEY}" }';
    equal((await platform.deploy("mine", { script: "bad" }, { key: evil, fragment: secret })).value["code"], "MF_CONFIG_ENV");
  });
});

test("two tenants' functions of one name are two: one's deploy, removal and images leave the other's", async () => {
  await run(async (platform) => {
    await platform.deploy("shop", { script: "good" }, { key: acme });
    await platform.deploy("shop", { script: "bad" }, { key: evil });
    await platform.deploy("same", { script: "good" }, { key: evil });
    deepEqual([(await platform.call("/acme/shop")).text, (await platform.call("/evil/shop")).text], ["good", "bad"]);
    for (const name of ["shop", "same"]) equal((await platform.askAs(evil, "DELETE", `functions/${name}`)).status, 200);
    equal((await platform.call("/acme/shop")).text, "good");
    equal((await platform.call("/evil/shop")).status, 404);
    for (const path of ["/acme/shop", "/acme", "/", "/evil/../acme/shop", "/:any/shop", "/*"]) {
      const fragment = `from: [{ http: { path: ${JSON.stringify(path)}, method: PUT } }]`;
      equal((await platform.deploy("x", { script: "bad" }, { key: evil, fragment })).value["code"], "MF_FUNCTION_LIMIT", path);
    }
  });
});

test("a key can do what its scopes say, a wrong one nothing, and the operator's endpoints are for no tenant", async () => {
  await run(async (platform) => {
    const image = { script: "good" };
    equal((await platform.deploy("shop", image, { key: acme })).status, 201);
    equal((await platform.askAs(acmeReader, "GET", "functions/shop")).status, 200);
    const refused = codes([
      await platform.deploy("shop", image, { key: acmeReader }),
      await platform.askAs(acmeReader, "DELETE", "functions/shop"),
      await platform.askAs(acmeReader, "POST", "functions/shop/invoke"),
      await platform.askAs(acmeReader, "GET", "secrets"),
    ]);
    deepEqual(
      refused,
      Array.from({ length: 4 }, () => "403 MF_SCOPE_DENIED"),
    );
    for (const key of ["", "wrong", acme.slice(0, -1), `${acme}0`]) equal((await platform.askAs(key, "GET", "functions")).status, 401, key);
    for (const path of ["overview", "flows", "messages", "images", "queue", "dead-letters"])
      equal((await platform.askAs(acme, "GET", path)).status, 401, path);
    equal((await platform.askAs("operators-token", "GET", "functions?tenant=acme")).status, 200);
    equal((await platform.askAs("operators-token", "GET", "functions")).value["code"], "MF_TENANT_UNKNOWN");
  });
});

test("a function reaches the hosts of its tenant, by whatever way a URL is written", async () => {
  await run(async (platform) => {
    const codeOf = async (fragment: string): Promise<unknown> =>
      (await platform.deploy("x", { script: "bad" }, { key: evil, fragment })).value["code"];
    for (const url of [
      "http://127.0.0.1:9090/",
      "http://api.example.com/",
      "https:api.example.com",
      "HTTP://169.254.169.254/latest",
      "http://evil.example/",
      "http://x.evil.example:8080/",
      "http://x.evil.example@127.0.0.1/",
      " http://127.0.0.1/",
    ]) {
      const code = await codeOf(`to: { erp: { http: { url: ${JSON.stringify(url)} } } }`);
      ok(code === "MF_FUNCTION_LIMIT" || code === "MF_CONFIG_INVALID", `${url}: ${String(code)}`);
    }
    const token =
      "to: { erp: { http: { url: https://x.evil.example/, auth: { oauth2: { tokenUrl: http://127.0.0.1/token, clientId: a, clientSecret: b } } } } }";
    ok(/MF_FUNCTION_LIMIT|MF_CONFIG_INVALID/.test(String(await codeOf(token))));
    for (const host of ["127.0.0.1", "api.example.com", "evil.example", "*.example", "x.evil.example:8080"])
      equal(await codeOf(`hosts: ["${host}"]`), "MF_FUNCTION_LIMIT", host);
    for (const source of ["file: { dir: /etc }", "nats: { url: nats://localhost, subject: a }", "flow: {}"]) {
      const code = await codeOf(`from: [{ ${source} }]`);
      ok(code === "MF_FUNCTION_LIMIT" || code === "MF_CONFIG_INVALID", source);
    }
    for (const outlet of ["file: { dir: /tmp }", "flow: { name: acme--shop }", "log: {}"]) {
      const code = await codeOf(`to: { x: { ${outlet} } }`);
      ok(code === "MF_FUNCTION_LIMIT" || code === "MF_CONFIG_INVALID", `${outlet} ${String(code)}`);
    }
    for (const tls of ["tls: { ca: /etc/passwd }", "proxy: http://127.0.0.1:3128"])
      equal(await codeOf(`to: { x: { http: { url: https://x.evil.example/, ${tls} } } }`), "MF_FUNCTION_LIMIT", tls);
    const signed = (privateKey: string): string =>
      `to: { x: { http: { url: https://x.evil.example/, auth: { oauth2: { tokenUrl: https://x.evil.example/t, clientId: a, privateKey: ${JSON.stringify(privateKey)} } } } } }`;
    for (const key of ["/etc/ssl/private/gateway.pem", "tls/key.pem", "./tenants.yaml"])
      equal(await codeOf(signed(key)), "MF_FUNCTION_LIMIT", key);
    notEqual(await codeOf(signed("-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----")), "MF_FUNCTION_LIMIT");
    equal(await codeOf("weight: 100"), "MF_FUNCTION_LIMIT");
    equal(await codeOf("limits: { cpu: 101ms }"), "MF_FUNCTION_LIMIT");
    equal(await codeOf('hosts: ["x.evil.example", "*.evil.example"]\nto: { erp: { http: { url: https://x.evil.example/ } } }'), undefined);
  });
});

test("quotas: functions, requests, deploys and messages under way of one tenant, while another goes on", async () => {
  await run(async (platform) => {
    await platform.deploy("shop", { script: "good" }, { key: acme });
    for (const name of ["a", "b"]) equal((await platform.deploy(name, { script: "bad" }, { key: evil })).status, 201);
    equal((await platform.deploy("c", { script: "bad" }, { key: evil })).value["code"], "MF_TENANT_QUOTA");
    equal((await platform.deploy("a", { script: "bad", salt: 1 }, { key: evil })).status, 200, "a function that is there can be changed");
    const statuses = (await Promise.all(Array.from({ length: 8 }, () => platform.call("/evil/a")))).map(({ status }) => status);
    deepEqual(statuses.sort(), [200, 200, 200, 200, 200, 429, 429, 429]);
    match((await platform.call("/evil/b")).text, /MF_TENANT_RATE/);
    let code: unknown;
    for (let turn = 0; turn < 70 && code !== "MF_DEPLOY_RATE"; turn += 1)
      code = (await platform.askAs(evil, "PUT", "secrets/K", { body: "x" })).value["code"];
    equal(code, "MF_DEPLOY_RATE");
    equal((await platform.call("/acme/shop")).status, 200);
    equal((await platform.askAs(acme, "PUT", "secrets/K", { body: "x" })).status, 200);
    const shares = new Map(platform.rig.runner.shares.map((share) => [share?.name, share]));
    deepEqual([...shares.keys()].sort(), ["acme", "evil"], "all functions of a tenant have one share of the CPU time");
    const { tenants: all } = (await platform.ask("GET", "usage")).value as unknown as { tenants: { tenant: string; received: number }[] };
    deepEqual(
      all.map(({ tenant, received }) => [tenant, received]),
      [
        ["acme", 1],
        ["evil", 5],
      ],
    );
  });
});
