/** A configuration that is replaced while messages are under way. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { done, type Script } from "./testing/scripted.ts";
import { until, withGateway } from "./testing/rig.ts";

test("a reload swaps image and sources without dropping a message", async () => {
  const yaml = (image: string, path: string): string =>
    `flows: { echo: { image: ${image}.mfi, from: [ { http: { path: ${path} } }, { http: { path: /always } } ] } }`;
  await withGateway(yaml("one", "/one"), { one: () => [done("one")], two: () => [done("two")] }, async ({ url, gateway, config }) => {
    let dropped = 0;
    const answers = new Set<string>();
    let going = true;
    const load = (async () => {
      while (going) {
        const response = await fetch(`${url}/always`, { method: "POST" });
        if (response.status !== 200) dropped += 1;
        answers.add(await response.text());
      }
    })();
    await until(() => answers.has("one"));
    await gateway.reload(config(yaml("two", "/two")));
    await until(() => answers.has("two"));
    going = false;
    await load;
    equal(dropped, 0);
    deepEqual([(await fetch(`${url}/one`, { method: "POST" })).status, (await fetch(`${url}/two`, { method: "POST" })).status], [404, 200]);
  });
});

test("at a reload flows can exchange their paths, pass them on to a new flow, and nothing is refused", async () => {
  const served = (flows: Readonly<Record<string, string>>): string =>
    `flows: { ${Object.entries(flows).map(([flow, path]) => `${flow}: { image: ${flow}.mfi, from: [ { http: { path: ${path} } } ] }`)} }`;
  const scripts = Object.fromEntries(["a", "b", "c"].map((name): [string, Script] => [name, () => [done(name)]]));
  await withGateway(served({ a: "/x", b: "/y", c: "/z" }), scripts, async ({ url, gateway, config }) => {
    const answers = (): Promise<string[]> =>
      Promise.all(["/x", "/y", "/z"].map(async (path) => (await fetch(`${url}${path}`, { method: "POST" })).text()));
    deepEqual(await answers(), ["a", "b", "c"]);
    await gateway.reload(config(served({ a: "/y", b: "/x", c: "/z" })));
    deepEqual(await answers(), ["b", "a", "c"]);
    await gateway.reload(config(served({ a: "/z", b: "/x" })));
    await gateway.reload(config(served({ c: "/x", b: "/y", a: "/z" })));
    deepEqual(await answers(), ["c", "b", "a"]);
  });
});
