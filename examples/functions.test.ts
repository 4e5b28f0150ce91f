import { deepEqual, equal, match } from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";
import { type Downstream, downstream } from "./testing.ts";

const keys = {
  ADMIN_TOKEN: "operators-token-0123456789",
  PRICING_KEY: "pricing-key-0123456789abc",
  SUPPORT_KEY: "support-key-0123456789abc",
};
let folder: string;
let rates: Downstream;
let serving: Serving;

/** A command as a team runs it: with its key, from the folder of the example. */
async function team(key: string, ...words: string[]): Promise<Record<string, unknown>> {
  const gateway = `http://127.0.0.1:${serving.gateway.admin.address?.port}`;
  const { out } = await capture([...words, "--json", "--gateway", gateway, "--token", key], { stdin: "secret-of-rates\n" });
  return JSON.parse(out) as Record<string, unknown>;
}

const codeOf = ({ error }: Record<string, unknown>): string | undefined => (error as { code?: string } | undefined)?.code;

async function call(path: string, body: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${serving.url}${path}`, { method: "POST", body });
  return { status: response.status, text: await response.text() };
}

before(async () => {
  rates = await downstream(() => ({ json: { a: 250, b: 100 } }));
  folder = await mkdtemp(join(tmpdir(), "mayfly-functions-"));
  await cp(join(packageRoot, "examples", "functions"), folder, { recursive: true });
  await mkdir(join(folder, "node_modules"));
  await symlink(packageRoot, join(folder, "node_modules", "mayfly"));
  const peer = rates.url.replace("http://127.0.0.1", "localhost");
  for (const name of ["tenants.yaml", "quote.mayfly.yaml", "mayfly.yaml"]) {
    const text = await readFile(join(folder, name), "utf8");
    await writeFile(join(folder, name), text.replace("localhost:9099", peer).replace("port: 9090", "port: 0"));
  }
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: keys, logger: silentLogger });
});
after(async () => {
  await serving.stop();
  await rates.close();
  await rm(folder, { recursive: true, force: true });
});

test("two teams deploy with their keys, call what they deployed, and see nothing of each other", async () => {
  const quote = join(folder, "quote.ts");
  equal(codeOf(await team(keys.PRICING_KEY, "deploy", quote, "--no-check")), "MF_CONFIG_ENV", "its secret is not set");
  deepEqual(await team(keys.PRICING_KEY, "secrets", "set", "RATES_TOKEN"), { secret: "RATES_TOKEN", set: true });
  const deployed = await team(keys.PRICING_KEY, "deploy", quote, "--no-check");
  deepEqual(deployed["urls"], [`${serving.url}/pricing/quote`]);
  deepEqual(JSON.parse((await call("/pricing/quote", '{"lines":[{"sku":"a","quantity":2}]}')).text), { total: 500, currency: "EUR" });
  equal(rates.received[0]?.headers.authorization, "Bearer secret-of-rates");
  await team(keys.SUPPORT_KEY, "deploy", join(folder, "hello.ts"), "--no-check");
  equal((await call("/support/hello", "you")).text, "hello you");
  equal(codeOf(await team(keys.SUPPORT_KEY, "functions", "show", "quote")), "MF_FUNCTION_UNKNOWN");
  equal(codeOf(await team(keys.SUPPORT_KEY, "secrets", "ls")), "MF_SCOPE_DENIED");
  equal(codeOf(await team(keys.SUPPORT_KEY, "deploy", quote, "--no-check")), "MF_CONFIG_ENV", "the secret is another team's");
  const { tenants } = await team(keys.ADMIN_TOKEN, "usage");
  deepEqual(
    (tenants as { tenant: string; received: number }[]).map(({ tenant, received }) => `${tenant} ${received}`),
    ["pricing 1", "support 1"],
  );
});

test("a second version gets a share, is put back, and its log says what it did", async () => {
  await writeFile(
    join(folder, "hello.ts"),
    'import { flow } from "mayfly";\nexport default flow((_msg, { log }) => { log.info("new"); return "new"; });\n',
  );
  const second = await team(keys.SUPPORT_KEY, "deploy", join(folder, "hello.ts"), "--no-check", "--canary", "50%");
  deepEqual([second["live"], second["version"]], [1, 2]);
  equal((await team(keys.SUPPORT_KEY, "functions", "rollback", "hello", "2"))["live"], 2);
  equal((await call("/support/hello", "")).text, "new");
  equal((await team(keys.SUPPORT_KEY, "functions", "rollback", "hello"))["live"], 1);
  match((await call("/support/hello", "")).text, /^hello stranger/);
  const { out } = await capture([
    "functions",
    "logs",
    "hello",
    "--gateway",
    `http://127.0.0.1:${serving.gateway.admin.address?.port}`,
    "--token",
    keys.SUPPORT_KEY,
  ]);
  match(out, /info {2}new/);
});
