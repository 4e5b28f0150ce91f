/** Functions through a gateway's endpoints: deployed, swapped, put back, removed; and everything that can be wrong with a deploy. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Script } from "../testing/scripted.ts";
import { done, log } from "../testing/scripted.ts";
import { until } from "../testing/rig.ts";
import { functionLimits } from "./limits.ts";
import { hashOf, imageBytes, type Platform, withPlatform } from "./testing/platform.ts";

const scripts: Readonly<Record<string, Script>> = {
  one: () => [log("one was called"), done("one")],
  two: () => [done("two")],
};

interface Shown {
  readonly name: string;
  readonly urls: readonly string[];
  readonly live: number;
  readonly revision: number;
  readonly canary: unknown;
  readonly versions: readonly { readonly version: number; readonly image: string }[];
  readonly aliases: Readonly<Record<string, number>>;
  readonly served: boolean;
}

async function show(platform: Platform, name: string): Promise<Shown> {
  return (await platform.ask("GET", `functions/${name}`)).value as unknown as Shown;
}

test("a function works at once at its URL, the same deploy again changes nothing, and its log can be read", async () => {
  await withPlatform(scripts, async (platform) => {
    const first = await platform.deploy("hello", { script: "one" });
    deepEqual([first.status, first.value["live"], first.value["urls"]], [201, 1, [`${platform.rig.url}/hello`]]);
    equal(first.etag, `"${String(first.value["revision"])}"`);
    equal(platform.loaded.size, 0, "nobody has called it: it is not in memory");
    deepEqual(await platform.call("/hello"), { status: 200, text: "one" });
    const again = await platform.deploy("hello", { script: "one" });
    deepEqual([again.status, again.etag], [200, first.etag]);
    const { lines } = (await platform.ask("GET", "functions/hello/logs")).value as unknown as { lines: { text: string }[] };
    deepEqual(
      lines.map(({ text }) => text),
      ["one was called"],
    );
    equal((await platform.call("/other")).status, 404);
    equal((await platform.call("/hello/below")).status, 404);
  });
});

test("a deploy swaps between two messages: every call meets one version whole, and none is refused", async () => {
  await withPlatform(scripts, async (platform) => {
    await platform.deploy("hello", { script: "one" });
    let isOver = false;
    const answers: string[] = [];
    const caller = async (): Promise<void> => {
      while (!isOver) {
        const { status, text } = await platform.call("/hello");
        answers.push(`${status} ${text}`);
      }
    };
    const callers = [caller(), caller(), caller(), caller()];
    for (let turn = 1; turn <= 10; turn += 1) {
      const { status } = await platform.deploy("hello", { script: turn % 2 === 0 ? "one" : "two", salt: turn });
      equal(status, 200);
    }
    isOver = true;
    await Promise.all(callers);
    deepEqual([...new Set(answers)].sort(), ["200 one", "200 two"]);
    equal((await show(platform, "hello")).versions.length, functionLimits.versions);
    const counts = [...platform.loaded.values()].filter((count) => count !== 0);
    deepEqual(counts, [1], "one image is loaded, once");
  });
});

test("versions are put back by number and alias, a canary gets its share, and aliases keep what they name", async () => {
  await withPlatform(scripts, async (platform) => {
    await platform.deploy("hello", { script: "one" });
    await platform.deploy("hello", { script: "two" });
    equal((await platform.call("/hello")).text, "two");
    equal((await platform.ask("PUT", "functions/hello/aliases/stable", { body: { version: 1 } })).status, 200);
    equal((await platform.ask("PUT", "functions/hello/live", { body: { version: "stable" } })).value["live"], 1);
    equal((await platform.call("/hello")).text, "one");
    equal((await platform.ask("PUT", "functions/hello/canary", { body: { version: 2, share: 0.5 } })).status, 200);
    const texts = new Set<string>();
    await until(async () => texts.add((await platform.call("/hello")).text).size === 2);
    deepEqual((await platform.ask("DELETE", "functions/hello/canary")).value["canary"], null);
    for (let salt = 1; salt <= 12; salt += 1) await platform.deploy("hello", { script: "two", salt });
    const shown = await show(platform, "hello");
    deepEqual([shown.versions[0]?.version, shown.versions.length, shown.aliases], [1, functionLimits.versions, { stable: 1 }]);
    const files = await readdir(join(platform.rig.dir, "functions", "images"));
    equal(files.length, functionLimits.versions, "images that no version names are gone");
    equal((await platform.ask("PUT", "functions/hello/live", { body: { version: 3 } })).value["code"], "MF_FUNCTION_VERSION");
    equal((await platform.ask("PUT", "functions/hello/aliases/stable", { body: { version: "nobody" } })).status, 422);
    equal((await platform.deploy("fresh", { script: "one" }, { canary: 0.1 })).value["code"], "MF_FUNCTION_VERSION");
  });
});

test("a change made for another revision is refused with 412, also after a removal, and of two deploys at once both count", async () => {
  await withPlatform(scripts, async (platform) => {
    const first = await platform.deploy("hello", { script: "one" }, { headers: { "if-none-match": "*" } });
    equal(first.status, 201);
    equal((await platform.deploy("hello", { script: "two" }, { headers: { "if-none-match": "*" } })).status, 412);
    const fence = { "if-match": first.etag ?? "" };
    const both = await Promise.all([
      platform.deploy("hello", { script: "two" }, { headers: fence }),
      platform.deploy("hello", { script: "two", salt: 1 }, { headers: fence }),
    ]);
    deepEqual(both.map(({ status }) => status).sort(), [200, 412]);
    equal(both.find(({ status }) => status === 412)?.value["code"], "MF_FUNCTION_CHANGED");
    equal((await platform.ask("DELETE", "functions/hello", { headers: fence })).status, 412);
    equal((await platform.ask("DELETE", "functions/hello")).status, 200);
    equal((await platform.deploy("hello", { script: "one" })).status, 201);
    equal((await platform.ask("DELETE", "functions/hello", { headers: fence })).status, 412, "a new function of the name is another");
    await Promise.all([platform.deploy("hello", { script: "two", salt: 2 }), platform.deploy("hello", { script: "two", salt: 3 })]);
    equal((await show(platform, "hello")).versions.length, 3);
    equal(
      (await platform.ask("PUT", "functions/hello", { headers: { "if-match": "nonsense" }, body: {} })).value["code"],
      "MF_REQUEST_INVALID",
    );
  });
});

test("a removed function is gone: its path, its log, its image and its memory", async () => {
  await withPlatform(scripts, async (platform) => {
    await platform.deploy("hello", { script: "one" });
    await platform.call("/hello");
    equal((await platform.ask("DELETE", "functions/hello")).status, 200);
    equal((await platform.call("/hello")).status, 404);
    equal((await platform.ask("GET", "functions/hello")).value["code"], "MF_FUNCTION_UNKNOWN");
    deepEqual(await readdir(join(platform.rig.dir, "functions", "images")), []);
    deepEqual([...platform.loaded.values()], [0]);
  });
});

test("a deploy that is wrong is refused with its reason, and what is served goes on", async () => {
  const yaml = `flows:
  shop: { image: two.mfi, from: [ { http: { path: /shop } } ] }
  deep: { image: two.mfi, from: [ { http: { path: "/taken/:id" } } ] }`;
  await withPlatform(
    scripts,
    async (platform) => {
      await platform.deploy("hello", { script: "one" });
      const image = { script: "two" };
      const codeOf = async (name: string, more: Parameters<Platform["deploy"]>[2] = {}, own: object = {}): Promise<unknown> =>
        (await platform.deploy(name, { ...image, ...own }, more)).value["code"];
      const cases: readonly (readonly [string, unknown, unknown])[] = [
        ["a name of mayfly.yaml", await codeOf("shop"), "MF_FUNCTION_TAKEN"],
        ["a path of mayfly.yaml", await codeOf("taken"), "MF_FUNCTION_TAKEN"],
        ["a name that is the gateway's", await codeOf("metrics"), "MF_FUNCTION_NAME"],
        ["a name that could be a tenant's", await codeOf("a--b"), "MF_FUNCTION_NAME"],
        ["settings that are wrong", await codeOf("hello", { fragment: "limits: { cpu: soon }" }), "MF_CONFIG_INVALID"],
        ["settings that are not YAML", await codeOf("hello", { fragment: "a: [" }), "MF_CONFIG_SYNTAX"],
        ["settings that are a text", await codeOf("hello", { fragment: "hello" }), "MF_FUNCTION_FRAGMENT"],
        ["a flow", await codeOf("hello", { fragment: "flow: other.ts" }), "MF_FUNCTION_FRAGMENT"],
        ["a path of others", await codeOf("hello", { fragment: "from: [{ http: { path: /hellos } }]" }), "MF_FUNCTION_LIMIT"],
        ["memory beyond the ceiling", await codeOf("hello", { fragment: "limits: { memory: 300MiB }" }), "MF_FUNCTION_LIMIT"],
        ["an image that asks for more", await codeOf("hello", {}, { limits: { cpuMs: 60_000 } }), "MF_FUNCTION_LIMIT"],
        ["a variable", await codeOf("hello", { fragment: 'values: { home: "${HOME}" }' }), "MF_CONFIG_ENV"],
        ["a file", await codeOf("hello", { fragment: 'values: { shadow: "${file:/etc/passwd}" }' }), "MF_CONFIG_ENV"],
        ["a secret that is not set", await codeOf("hello", { fragment: 'values: { key: "${secret:NONE}" }' }), "MF_CONFIG_ENV"],
        ["an outlet without settings", await codeOf("hello", {}, { outlets: ["erp"] }), "MF_OUTLET_MISSING"],
        [
          "a contract of the gateway's",
          await codeOf("hello", { fragment: "from: [{ http: { openapi: /etc/passwd } }]" }),
          "MF_FUNCTION_LIMIT",
        ],
        [
          "a contract of gRPC",
          await codeOf("hello", { fragment: "from: [{ grpc: { proto: /etc/passwd, service: a.B, port: 1 } }]" }),
          "MF_FUNCTION_LIMIT",
        ],
      ];
      for (const [what, code, wanted] of cases) equal(code, wanted, what);
      const { value } = await platform.deploy("hello", image, { fragment: "\nlimits:\n  cpu: soon\n" });
      match(String(value["detail"]), /^hello\.mayfly\.yaml:3:8 MF_CONFIG_INVALID limits\.cpu: /);
      const other = await platform.ask("PUT", "functions/hello", { body: { image: `sha256:${"0".repeat(64)}` } });
      deepEqual([other.status, other.value["code"]], [409, "MF_FUNCTION_IMAGE"]);
      for (const body of ["", "{", "[]", '{"image":1}', '{"image":"x","more":1}', '{"image":"sha256:00"}'])
        equal((await platform.ask("PUT", "functions/hello", { body })).value["code"], "MF_REQUEST_INVALID", body);
      const shown = await show(platform, "hello");
      deepEqual([shown.live, shown.versions.length, (await platform.call("/hello")).text], [1, 1, "one"]);
    },
    { yaml },
  );
});

test("a canary whose image needs more than the live version's settings is refused", async () => {
  await withPlatform(scripts, async (platform) => {
    const erp = "to: { erp: { http: { url: http://127.0.0.1:1/ } } }";
    await platform.deploy("hello", { script: "one" });
    await platform.deploy("hello", { script: "two", outlets: ["erp"] }, { fragment: erp });
    equal((await platform.ask("PUT", "functions/hello/live", { body: { version: 1 } })).status, 200);
    const refused = await platform.ask("PUT", "functions/hello/canary", { body: { version: 2, share: 0.5 } });
    deepEqual([refused.status, refused.value["code"]], [422, "MF_OUTLET_MISSING"]);
    const deployed = await platform.deploy("hello", { script: "two", outlets: ["erp"], salt: 1 }, { fragment: erp, canary: 0.5 });
    equal(deployed.value["code"], "MF_OUTLET_MISSING");
    deepEqual([(await show(platform, "hello")).canary, (await platform.call("/hello")).text], [null, "one"]);
  });
});

test("a reload of mayfly.yaml leaves functions as they are, and can't take their names and paths", async () => {
  await withPlatform(scripts, async (platform) => {
    const { gateway, config } = platform.rig;
    const reload = (flows: string): Promise<void> =>
      gateway.reload(
        config(`http: { port: 0, admin: { port: 0, token: operators-token } }\nfunctions: { dir: functions }\nflows: ${flows}`),
      );
    await platform.deploy("hello", { script: "one" });
    await platform.deploy("asleep", { script: "one" });
    await platform.call("/hello");
    await reload("{ shop: { image: two.mfi, from: [ { http: { path: /shop } } ] } }");
    deepEqual([(await platform.call("/hello")).text, (await platform.call("/shop")).text], ["one", "two"]);
    for (const flows of ["{ asleep: { image: two.mfi } }", '{ x: { image: two.mfi, from: [ { http: { path: "/asleep/:id" } } ] } }'])
      await rejects(reload(flows), { code: "MF_FUNCTION_TAKEN" });
    await reload('{ all: { image: two.mfi, from: [ { http: { path: "/*" } } ] } }');
    deepEqual([(await platform.call("/other")).text, (await platform.call("/asleep")).text], ["two", "one"]);
  });
});

test("a disk that refuses leaves what was served and recorded", async () => {
  await withPlatform(scripts, async (platform) => {
    await platform.deploy("hello", { script: "one" });
    await platform.call("/hello");
    const { rename, rm, writeFile } = await import("node:fs/promises");
    const folder = join(platform.rig.dir, "functions");
    await rename(join(folder, "images"), join(folder, "elsewhere"));
    await writeFile(join(folder, "images"), "in the way");
    const refused = await platform.deploy("hello", { script: "two" });
    deepEqual([refused.status, refused.value["code"]], [507, "MF_FUNCTIONS_DISK"]);
    equal((await platform.call("/hello")).text, "one");
    await rm(join(folder, "images"));
    await rename(join(folder, "elsewhere"), join(folder, "images"));
    equal((await platform.deploy("hello", { script: "two" })).status, 200);
    equal((await platform.call("/hello")).text, "two");
  });
});

test("an upload is checked: its hash, its contents, its length; one that is cut off leaves nothing", async () => {
  await withPlatform(scripts, async (platform) => {
    const bytes = imageBytes({ script: "one" });
    const path = `images/sha256:${hashOf(bytes)}`;
    equal((await platform.ask("HEAD", path)).status, 404);
    equal((await platform.ask("PUT", path, { body: imageBytes({ script: "two" }) })).value["code"], "MF_IMAGE_HASH");
    equal((await platform.ask("PUT", path, { body: "no image" })).value["code"], "MF_IMAGE_CORRUPT");
    equal((await platform.ask("PUT", "images/sha256:00", { body: bytes })).value["code"], "MF_REQUEST_INVALID");
    equal((await platform.ask("PUT", path, { body: new Uint8Array(functionLimits.imageBytes + 1) })).status, 413);
    const cut = new AbortController();
    const half = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 10);
      cut.abort();
      await new Promise(() => undefined);
    };
    const upload = platform.rig.admin(`/api/${path}`, { method: "PUT", body: half(), duplex: "half", signal: cut.signal });
    ok(
      await upload.then(
        () => false,
        () => true,
      ),
    );
    deepEqual(await readdir(join(platform.rig.dir, "functions", "images")), []);
    equal((await platform.ask("PUT", path, { body: bytes })).status, 201);
    equal((await platform.ask("HEAD", path)).status, 200);
  });
});

test("secrets reach settings and nobody else, and a new value reaches a function that runs", async () => {
  const seen: (string | undefined)[] = [];
  const script: Script = (event) => {
    if (event.kind === "deliver") seen.push(String((JSON.parse(event.headersJson) as Record<string, unknown>)["mayfly-value-key"]));
    return [done("ok")];
  };
  await withPlatform({ script }, async (platform) => {
    equal((await platform.ask("PUT", "secrets/KEY", { body: "first" })).status, 200);
    const { value } = await platform.deploy("hello", { script: "script" }, { fragment: 'values: { key: "${secret:KEY}" }' });
    ok(!JSON.stringify(value).includes("first"));
    await platform.call("/hello");
    equal((await platform.ask("PUT", "secrets/KEY", { body: "second" })).status, 200);
    await platform.call("/hello");
    deepEqual(seen, ["first", "second"]);
    deepEqual((await platform.ask("GET", "secrets")).value, { secrets: ["KEY"] });
    equal((await platform.ask("GET", "secrets/KEY")).status, 405);
    equal((await platform.ask("DELETE", "secrets/KEY")).status, 200);
    equal((await platform.ask("DELETE", "secrets/KEY")).value["code"], "MF_SECRET_UNKNOWN");
    await platform.call("/hello");
    equal(seen.at(-1), "second", "a function that runs goes on");
    const { lines } = (await platform.ask("GET", "functions/hello/logs")).value as unknown as { lines: { text: string }[] };
    match(lines.at(-1)?.text ?? "", /the secret KEY has changed, and the function goes on as it was/);
  });
});

test("a function can be called through the endpoints, and every endpoint is in the OpenAPI document", async () => {
  await withPlatform(scripts, async (platform) => {
    await platform.deploy("hello", { script: "one" });
    const { value } = await platform.ask("POST", "functions/hello/invoke", { body: "x" });
    deepEqual([value["status"], (value["reply"] as { body: unknown }).body], ["done", { text: "one" }]);
    equal((await platform.ask("POST", "functions/none/invoke")).status, 404);
    const { paths } = (await platform.ask("GET", "openapi.json")).value as unknown as { paths: Record<string, Record<string, unknown>> };
    for (const [path, methods] of Object.entries(paths))
      for (const method of Object.keys(methods)) {
        const asked = path
          .replace("/api/", "")
          .replace("{name}", "hello")
          .replace("{alias}", "x")
          .replace("{image}", "x")
          .replace("{secret}", "x");
        ok((await platform.ask(method.toUpperCase(), asked)).status !== 405, `${method} ${path}`);
      }
  });
});
