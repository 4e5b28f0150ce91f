/** A tenant of deployed functions that fills what it may keep: it is told, another is served as before, and room makes it go on. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import type { Effect, Event } from "#abi";
import { type Platform, withPlatform } from "../../gateway/functions/testing/platform.ts";
import { done, fail, type Script, send, text } from "../../gateway/testing/scripted.ts";
import { until } from "../../gateway/testing/rig.ts";

const acme = "acme-key-0123456789abcdef";
const evil = "evil-key-0123456789abcdef";
const kib = 1024;

function tenantsWith(bounds: string): string {
  const keys = (key: string): string => `keys: { ci: { key: ${key}, scopes: [deploy, read, invoke] } }`;
  return `tenants:\n  acme: { ${keys(acme)} }\n  evil: { ${keys(evil)}, hosts: ["peer.example"], ${bounds} }\n`;
}

/** The body says what to do: `state 1000`, `send 1000`, `fail`. */
const does: Script = (event: Event): readonly Effect[] | undefined => {
  if (event.kind !== "deliver") return [fail("MF_TEST")];
  const [what = "", count = "0"] = text(event.body).split(" ");
  const value = "x".repeat(Number(count));
  if (what === "state") return [{ kind: "state", name: "n", valueJson: value === "" ? undefined : JSON.stringify(value) }, done("kept")];
  if (what === "send") return [send("erp", value), done("sent")];
  if (what === "fail") return [fail("MF_TEST", "no", false)];
  return what === "hang" ? undefined : [done("ok")];
};

const fragment =
  "from: [{ http: { path: /evil/bad/:key } }]\nkey: path:key\nretry: { attempts: 1 }\nto: { erp: { http: { url: https://peer.example/ }, retry: { age: 1h } } }";

async function withTenants(bounds: string, run: (platform: Platform) => Promise<void>): Promise<void> {
  await withPlatform(
    { does, good: () => [done("good")] },
    async (platform) => {
      equal((await platform.deploy("shop", { script: "good" }, { key: acme })).status, 201);
      const { status, value } = await platform.deploy("bad", { script: "does" }, { key: evil, fragment });
      equal(status, 201, JSON.stringify(value));
      await run(platform);
      for (let turn = 0; turn < 3; turn += 1) deepEqual(await platform.call("/acme/shop"), { status: 200, text: "good" });
      const { value: ready } = (await platform.ask("GET", "../ready")) as { value: { ready?: boolean } };
      equal(ready.ready, true, "a tenant that is full keeps nobody else waiting");
    },
    { tenants: tenantsWith(bounds) },
  );
}

interface Used {
  readonly kept: Readonly<Record<string, number>>;
  readonly full: string | null;
}

async function used(platform: Platform): Promise<Used> {
  const { tenants } = (await platform.askAs(evil, "GET", "usage")).value as unknown as { readonly tenants: readonly Used[] };
  const [own] = tenants;
  ok(own !== undefined);
  return own;
}

test("state: a change that does not fit fails with a code, and a key that is emptied lets others go on", async () => {
  await withTenants("state: 64KiB", async (platform) => {
    const statuses: number[] = [];
    for (let key = 0; key < 6; key += 1) statuses.push((await platform.call(`/evil/bad/${key}`, `state ${20 * kib}`)).status);
    deepEqual(statuses, [200, 200, 200, 507, 507, 507]);
    match((await platform.call("/evil/bad/9", `state ${20 * kib}`)).text, /MF_TENANT_FULL/);
    ok(((await used(platform)).kept["state"] ?? 0) <= 64 * kib);
    equal((await platform.call("/evil/bad/0", "state 0")).status, 200);
    equal((await platform.call("/evil/bad/9", `state ${20 * kib}`)).status, 200);
  });
});

test("sends that nobody takes: beyond the bound a message fails, and no further one is taken", async () => {
  await withTenants("messages: 64KiB", async (platform) => {
    const statuses: number[] = [];
    for (let turn = 0; turn < 5; turn += 1) statuses.push((await platform.call("/evil/bad/a", `send ${20 * kib}`)).status);
    deepEqual(statuses, [200, 200, 200, 507, 507]);
    equal((await platform.call("/evil/bad/a", "x".repeat(20 * kib))).status, 503, "its body does not fit either");
    await platform.rig.gateway.ready();
    ok(((await used(platform)).kept["messages"] ?? 0) <= 64 * kib);
  });
});

test("dead letters: none is dropped, no message is taken, usage and /ready say it; once some are dealt with it goes on", async () => {
  await withTenants("deadLetters: 4KiB", async (platform) => {
    await used(platform);
    let last = { status: 0, text: "" };
    for (let turn = 0; turn < 50 && last.status !== 507; turn += 1) last = await platform.call("/evil/bad/a", "fail");
    match(last.text, /dead letters.*MF_TENANT_FULL/s);
    match((await used(platform)).full ?? "", /dead letters take \d+ bytes/);
    const invoked = await platform.askAs(evil, "POST", "functions/bad/invoke", { body: "hello" });
    deepEqual([invoked.status, invoked.value["code"]], [507, "MF_TENANT_FULL"]);
    const { remarks } = platform.rig.gateway.ready();
    match(JSON.stringify(remarks), /tenant evil.*dead letters/);
    const letters: string[] = [];
    for await (const { id } of platform.rig.deadLetters.list("evil--bad")) letters.push(id);
    ok(letters.length >= 4, "none was dropped");
    for (const id of letters.slice(1)) await platform.rig.deadLetters.remove(id);
    equal((await platform.call("/evil/bad/a", "hello")).text, "ok");

    // A new process counts those that are there.
    const { DeadLetters } = await import("../../gateway/journal/dead-letters.ts");
    const again = new DeadLetters(`${platform.rig.dir}/dead`);
    again.bytesOf("evil");
    const bytes = await until(() => again.bytesOf("evil") || undefined);
    equal(bytes, platform.rig.deadLetters.bytesOf("evil"));
  });
});

test("history gives way: beyond the bytes of a day nothing more of the tenant is recorded, and all of another", async () => {
  await withPlatform(
    { does, good: () => [done("good")] },
    async (platform) => {
      await platform.deploy("shop", { script: "good" }, { key: acme });
      await platform.deploy("bad", { script: "does" }, { key: evil, fragment });
      for (let turn = 0; turn < 20; turn += 1) {
        equal((await platform.call("/evil/bad/a", "x".repeat(8 * kib))).status, 200);
        equal((await platform.call("/acme/shop", "x".repeat(8 * kib))).status, 200);
      }
      const count = async (flow: string): Promise<number> => {
        const { value } = await platform.ask("GET", `messages?flow=${flow}`);
        return (value["messages"] as unknown[]).length;
      };
      await until(async () => (await count("acme--shop")) === 20);
      const recorded = await count("evil--bad");
      ok(recorded > 0 && recorded < 10, String(recorded));
      ok(((await used(platform)).kept["history"] ?? 0) < 48 * kib);
    },
    { tenants: tenantsWith("history: 32KiB"), history: true },
  );
});

test("images: a tenant's fill its own share of the disk", async () => {
  await withTenants("images: 1KiB", async (platform) => {
    const large = { script: "does", padding: "x".repeat(400) };
    let code: unknown;
    for (let salt = 0; salt < 5 && code === undefined; salt += 1)
      code = (await platform.deploy(`f${salt}`, { ...large, salt }, { key: evil })).value["code"];
    equal(code, "MF_TENANT_FULL");
    equal((await platform.deploy("more", { script: "good", salt: 9 }, { key: acme })).status, 201);
    for (const name of ["f0", "f1"]) await platform.askAs(evil, "DELETE", `functions/${name}`);
    equal((await platform.deploy("f9", { ...large, salt: 9 }, { key: evil })).status, 201);
  });
});
