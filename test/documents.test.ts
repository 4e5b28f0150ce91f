/** Promises of the documents: their blocks of code run, their configurations are taken, commands, flags, scripts and codes exist. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { readConfig } from "#gateway";
import { connectors } from "#connectors";
import { buildImage } from "#image";
import { writeContract } from "../connectors/testing/grpc-contract.ts";

const documents = new Map<string, string>();
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-documents-"));
  for (const name of ["README.md", "CONTRIBUTING.md"]) documents.set(name, await readFile(join(packageRoot, name), "utf8"));
  for (const name of await readdir(join(packageRoot, "docs")))
    if (name.endsWith(".md")) documents.set(name, await readFile(join(packageRoot, "docs", name), "utf8"));
});
after(() => rm(folder, { recursive: true, force: true }));

function blocks(name: string, language: string): string[] {
  const found = [...(documents.get(name) ?? "").matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))];
  return found.map(([, block = ""]) => block);
}

test("every flow in README.md, FLOWS.md and FUNCTIONS.md builds and boots", async () => {
  const flows = ["README.md", "FLOWS.md", "FUNCTIONS.md"]
    .flatMap((name) => blocks(name, "ts"))
    .filter((block) => block.includes("export default flow"));
  ok(flows.length >= 10);
  for (const [index, source] of flows.entries()) {
    const file = join(folder, `flow-${index}.ts`);
    await writeFile(file, source);
    equal((await buildImage(file, { check: false })).image.manifest.name, `flow-${index}`, source);
  }
});

/** Variables of examples, as they may be where they are served. */
const environment = new Proxy<Record<string, string>>(
  {
    AMQP_URL: "amqp://localhost",
    AMQP1_URL: "amqp://localhost",
    NATS_URL: "nats://localhost",
    MQTT_URL: "mqtt://localhost",
    MYSQL_URL: "mysql://localhost/db",
    REDIS_URL: "redis://localhost",
  },
  {
    get: (known, name) =>
      known[String(name)] ??
      (name === "DATABASE_URL" ? "postgres://localhost/db" : name === "SMTP_URL" ? "smtp://localhost" : "http://localhost"),
  },
);

/** A block as a whole configuration: some show the sources or outlets of a flow only. */
function wholeConfig(block: string): string {
  if (/^flows:/m.test(block)) return block;
  if (/^(http|journal|memory|log):/m.test(block)) return `${block}flows: { example: { flow: example.ts, from: [] } }\n`;
  const inFlow = block.replace(/^/gm, "    ");
  return `flows:\n  example:\n    flow: example.ts\n${inFlow}\n${/^from:/m.test(block) ? "" : "    from: []\n"}  billing: { flow: billing.ts, from: [ { flow: {} } ] }\n`;
}

test("every configuration in README.md, CONNECTORS.md, DASHBOARD.md and HISTORY.md is taken", async () => {
  const configs = ["README.md", "CONNECTORS.md", "CLUSTER.md", "DASHBOARD.md", "HISTORY.md"].flatMap((name) => blocks(name, "yaml"));
  ok(configs.length >= 20);
  await writeContract(folder);
  for (const block of configs) {
    const { flows } = readConfig(wholeConfig(block), join(folder, "mayfly.yaml"), { ...connectors, environment });
    ok(Object.keys(flows).length > 0, block);
  }
});

test("the configuration in CONFIG.md is taken, and its profile changes it", async () => {
  const [config = "", profile = ""] = blocks("CONFIG.md", "yaml");
  const project = await mkdtemp(join(folder, "config-"));
  await writeFile(join(project, "mayfly.yaml"), config);
  await writeFile(join(project, "mayfly.prod.yaml"), profile);
  const show = ["config", "show", "-c", join(project, "mayfly.yaml")];
  match((await capture(show)).out, /port: 8080[^]*rate: 100\n/);
  const { code, out, err } = await capture([...show, "--profile", "prod"]);
  equal(code, 0, err);
  match(out, /port: 443[^]*rate: 500\n/);
  deepEqual(blocks("CONFIG.md", "yaml").length, 2);
});

/** The names of commands that help lists, those below others with them: `dlq show`. */
async function commandsBelow(path: readonly string[]): Promise<string[]> {
  const { out } = await capture([...path, "--help"]);
  const listed = out.split("\nCommands:\n")[1]?.split("\n\n")[0] ?? "";
  const names = [...listed.matchAll(/^ {2}(\S+)/gm)].map(([, name = ""]) => name.split("|")[0] ?? "").filter((name) => name !== "help");
  if (names.length === 0) return [path.join(" ")];
  return (await Promise.all(names.map((name) => commandsBelow([...path, name])))).flat();
}

test("every command has --json", async () => {
  const commands = await commandsBelow([]);
  ok(commands.length >= 18, commands.join());
  const without: string[] = [];
  for (const command of commands) if (!/--json/.test((await capture([...command.split(" "), "--help"])).out)) without.push(command);
  deepEqual(without, ["mcp", "journal export"], "they write lines of JSON as it is");
});

test("every command line in a document is one: the command exists, and has the flags", async () => {
  const commands = await commandsBelow([]);
  let seen = 0;
  for (const [name, text] of documents)
    for (const [line, words = ""] of text.matchAll(
      /^(?: {4}|(?:echo .*\| )?npx |ERP_URL\S+ |.*\| )?(?:npx )?mayfly ((?:[a-z]+)\b[^\n`|]*)$/gm,
    )) {
      const [first = "", second = ""] = words.split(/\s+/);
      const command = commands.find((each) => each === first || each === `${first} ${second}`);
      ok(command !== undefined, `${name}: ${line}`);
      const help = (await capture([...command.split(" "), "--help"])).out;
      for (const [, flag = ""] of words.replace(/'[^']*'|#.*$/g, "").matchAll(/(?:^|\s)(-[a-zA-Z]|--[a-z][a-z-]*)(?=[\s=]|$)/g))
        ok(new RegExp(`(^|[\\s,])${flag}\\b`, "m").test(help), `${name}: ${line}: ${flag}`);
      seen++;
    }
  ok(seen >= 12, `${seen} command lines`);
});

/** The flow that CLI.md's tests of orders are about. */
const ordersFlow = `import { flow } from "mayfly";
interface Order { id: number; lines: { sku: string; qty: number; price: number }[] }
export default flow<"erp" | "bigOrders" | "audit">(async (msg, { to, log, state }) => {
  const order = msg.json<Order>();
  const total = order.lines.reduce((sum, line) => sum + line.qty * line.price, 0);
  log.info("order received", { id: order.id });
  if (msg.key !== undefined) state.set("seen", (state.get<number>("seen") ?? 0) + 1);
  if (total > 1000) to.bigOrders.send({ id: order.id, total });
  for (const line of order.lines) to.audit.send(line, { key: line.sku });
  const answer = await to.erp.request({ id: order.id, total });
  return { status: "accepted", erp: answer.json() };
});
`;

/** The flow that CLI.md's test of signals is about. */
const sagaFlow = `import { flow } from "mayfly";
export default flow<"stock" | "billing">(async (msg, { to, wait }) => {
  const order = msg.json<{ id: string }>();
  to.stock.send({ reserve: order.id });
  const payment = await wait<{ amount: number }>("payment", { key: order.id, timeout: "2d" });
  if (payment === undefined) to.stock.send({ release: order.id });
  else to.billing.send({ order: order.id, paid: payment.json().amount }, { after: "30m" });
});
`;

test("the flow tests in CLI.md pass, and a run's JSON has the members that it shows", async () => {
  const project = join(folder, "orders");
  await mkdir(join(project, "samples"), { recursive: true });
  await mkdir(join(project, "node_modules"));
  await symlink(packageRoot, join(project, "node_modules", "mayfly"));
  const big = { id: 8, lines: [{ sku: "DESK-4", qty: 2, price: 685.5 }] };
  const files = {
    "package.json": "{}",
    "orders.ts": ordersFlow,
    "samples/big-order.json": JSON.stringify(big),
    "saga.ts": sagaFlow,
    "orders.flow-test.yaml": blocks("CLI.md", "yaml")[0] ?? "",
    "saga.flow-test.yaml": blocks("CLI.md", "yaml")[1] ?? "",
    "orders.flow-test.ts": blocks("CLI.md", "ts").join("\n"),
    "small.json": JSON.stringify({ id: 7, lines: [{ sku: "a", qty: 1, price: 1 }] }),
    "answer.json": "{}",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(project, name), text);
  const tested = await capture(["test", project, "--json"]);
  equal(tested.code, 0, `${tested.out}${tested.err}`);
  const { passed } = JSON.parse(tested.out) as { passed: number };
  equal(passed, 4, tested.out);

  const run = await capture([
    ...["run", join(project, "orders.ts"), "-m", join(project, "small.json"), "--key", "k1"],
    ...["-O", `erp=${join(project, "answer.json")}`, "--json"],
  ]);
  const shown = JSON.parse(blocks("CLI.md", "json")[0] ?? "") as Record<string, unknown>;
  const result = JSON.parse(run.out) as Record<string, unknown>;
  for (const [name, value] of Object.entries(shown)) {
    const [sample, actual] = [value, result[name]].map((each) => (Array.isArray(each) ? (each as unknown[])[0] : each));
    ok(actual !== undefined, `${name} of ${run.out}`);
    if (typeof sample === "object")
      deepEqual(
        Object.keys(sample as object).filter((key) => !Object.hasOwn(actual as object, key)),
        [],
        name,
      );
    else equal(typeof actual, typeof sample, name);
  }
});

/** The test that runs the blocks of a document in a language. Blocks without a language are drawings. */
const runBy: Readonly<Record<string, string>> = {
  "README.md ts": "test/documents.test.ts",
  "README.md yaml": "test/documents.test.ts",
  "README.md sh": "test/documents.test.ts",
  "CONTRIBUTING.md sh": "test/documents.test.ts",
  "CHAOS.md sh": "test/documents.test.ts",
  "CLI.md json": "test/documents.test.ts",
  "DASHBOARD.md sh": "gateway/http/watched.test.ts",
  "DASHBOARD.md yaml": "test/documents.test.ts",
  "DEBUGGING.md json": "cli/debug/debug.test.ts",
  "CLI.md yaml": "test/documents.test.ts",
  "CLI.md ts": "test/documents.test.ts",
  "CONTRACTS.md ts": "cli/contract-types.test.ts",
  "CONTRACTS.md json": "connectors/http/contract/source.test.ts",
  "CLUSTER.md yaml": "test/documents.test.ts",
  "CONTRACTS.md yaml": "connectors/http/contract/document.test.ts",
  "CONFIG.md yaml": "test/documents.test.ts",
  "CONNECTORS.md yaml": "test/documents.test.ts",
  "DEPLOYMENT.md dockerfile": "test/packed.test.ts",
  "DEPLOYMENT.md ini": "test/deployment.test.ts",
  "DEPLOYMENT.md yaml": "test/deployment.test.ts",
  "EMBED.md ts": "embed/document.test.ts",
  "EXPLORE.md ts": "cli/explore.test.ts",
  "FLOWS.md ts": "test/documents.test.ts",
  "FUNCTIONS.md ts": "test/documents.test.ts",
  "FUNCTIONS.md yaml": "gateway/functions/tenants-file.test.ts",
  "HISTORY.md yaml": "test/documents.test.ts",
  "MCP.md json": "cli/mcp/document.test.ts",
  "METRICS.md yaml": "test/metrics.test.ts",
  "OPERATIONS.md yaml": "test/metrics.test.ts",
  "PATTERNS.md ts": "test/patterns.test.ts",
  "PATTERNS.md yaml": "test/patterns.test.ts",
  "SLEEP.md ts": "test/sleep-doc.test.ts",
  "SLEEP.md yaml": "test/sleep-doc.test.ts",
  "SLEEP.md json": "test/sleep-doc.test.ts",
  "BOOT.md sh": "monitors/qemu/boot-doc.test.ts",
  "CONNECTOR-HOWTO.md ts": "connectors/shared/howto.test.ts",
  "STANDALONE.md dockerfile": "test/standalone/linux-lockdown.test.ts",
  "PROCESS.md js": "monitors/process/process-doc.test.ts",
};

test("every block of code in a document is run by a test that names the document", async () => {
  for (const [name, text] of documents)
    for (const [, language = ""] of text.matchAll(/^```([a-z]+)\n[\s\S]*?^```$/gm)) {
      const file = runBy[`${name} ${language}`];
      ok(file !== undefined, `${name} has a block in ${language} that no test runs`);
      ok((await readFile(join(packageRoot, file), "utf8")).includes(name), `${file} does not name ${name}`);
    }
});

test("every npm script that a document names exists, and the flags of a chaos run", async () => {
  const { scripts } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const options = await readFile(join(packageRoot, "test", "chaos", "options.ts"), "utf8");
  let seen = 0;
  for (const [name, text] of documents) {
    for (const [line, script = ""] of text.matchAll(/\bnpm (?:run )?((?<=run )[a-z][a-z:-]*|test|start)\b/g)) {
      ok(scripts[script] !== undefined, `${name}: ${line}`);
      seen++;
    }
    for (const [line, flags = ""] of text.matchAll(/npm run chaos -- ([^#\n`]*)/g))
      for (const [, flag = ""] of flags.matchAll(/--([a-z-]+)/g)) ok(new RegExp(`\\b${flag}\\b`).test(options), `${name}: ${line}`);
  }
  ok(seen >= 20, `${seen} scripts`);
});

/** Codes that stand for any, or for those of a connector that a reader writes. */
const examplesOfCodes = new Set(["MF_CODE", "MF_NAME_", "MF_LINE_REFUSED"]);

test("every code that a document names is in ERRORS.md", () => {
  const codes = (text: string): string[] => text.match(/\bMF_[A-Z0-9_]+/g) ?? [];
  const known = new Set(codes(documents.get("ERRORS.md") ?? ""));
  const unknown = [...documents.values()].flatMap(codes).filter((code) => !known.has(code) && !examplesOfCodes.has(code));
  deepEqual([...new Set(unknown)], []);
});

/** The text of every test and of what tests share. */
async function testTexts(folder: string): Promise<string> {
  let text = "";
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !/^(?:node_modules|dist|\..*)$/.test(entry.name)) text += await testTexts(path);
    else if (/\.(?:test|case)\.ts$/.test(entry.name)) text += await readFile(path, "utf8");
  }
  return text;
}

test("every code that CONNECTORS.md promises is expected by a test", async () => {
  const tested = new Set((await testTexts(packageRoot)).match(/\bMF_[A-Z0-9_]+/g));
  const promised = new Set((documents.get("CONNECTORS.md") ?? "").match(/\bMF_[A-Z0-9_]+/g));
  ok(promised.size >= 60, String(promised.size));
  deepEqual(
    [...promised].filter((code) => !tested.has(code)),
    [],
  );
});
