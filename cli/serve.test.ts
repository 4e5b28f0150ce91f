import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { capture, packageRoot } from "#cli";

const patienceMs = 60_000;
const entry = pathToFileURL(join(packageRoot, "dist", "cli", "mod.js")).href;
const script = `const { main } = await import(${JSON.stringify(entry)}); process.exitCode = await main(process.argv.slice(2));\n`;

let folder: string;
const children: Command[] = [];

const flowText = (word: string): string => `import { flow } from "mayfly";
export default flow(async (msg, { sleep, log }) => {
  if (msg.text() === "slow") {
    log.info("under way");
    await sleep(400);
  }
  return ${JSON.stringify(word)};
});`;

/** A mayfly command as a process of its own. */
class Command {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  out = "";
  err = "";

  constructor(values: readonly string[], more: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [join(folder, "mayfly.mjs"), ...values], {
      cwd: folder,
      env: { ...process.env, CI: "1", ...more },
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.out += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    this.ended = new Promise((done) => this.#child.on("close", (code) => done(code)));
    children.push(this);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until `pattern` has been written. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const untilMs = Date.now() + patienceMs;
    for (;;) {
      const found = pattern.exec(this.out + this.err);
      if (found !== null) return found;
      if (Date.now() > untilMs) throw new Error(`no ${pattern} in: ${this.out}${this.err}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  async url(): Promise<string> {
    return (await this.until(/"url":"(http:[^"]+)".*"msg":"ready"/))[1] ?? "";
  }
}

const post = async (url: string, body: string): Promise<string> =>
  await (await fetch(`${url}/hello`, { method: "POST", body, headers: { connection: "close" } })).text();

async function writeProject(word: string): Promise<void> {
  await writeFile(join(folder, "hello.ts"), flowText(word));
  await writeFile(join(folder, "mayfly.yaml"), "flows:\n  hello:\n    flow: hello.ts\n    from: [{ http: { path: /hello } }]\n");
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-serve-"));
  await writeFile(join(folder, "mayfly.mjs"), script);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.signal("SIGKILL");
    await child.ended;
  }
});
after(() => rm(folder, { recursive: true, force: true }));

test("serve and dev write their log as lines of JSON with --json, whatever the configuration says", async () => {
  await writeProject("hello");
  await appendFile(join(folder, "mayfly.yaml"), "log: { format: pretty }\n");
  for (const command of ["serve", "dev"]) {
    const serving = new Command([command, "-p", "0", "--json"]);
    await serving.url();
    serving.signal("SIGTERM");
    equal(await serving.ended, 0);
    for (const line of serving.out.trim().split("\n")) equal(typeof (JSON.parse(line) as { readonly msg: unknown }).msg, "string");
  }
});

test("serve that is started on a full disk waits for room, ends with 0 when it is told to, and serves once there is room", {
  skip: process.getuid?.() !== 0 && "needs root to mount a tmpfs",
}, async (t) => {
  await writeProject("hello");
  const disk = join(folder, "disk");
  await mkdir(disk);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "mayfly-full", disk], { encoding: "utf8" });
  if (mounted.status !== 0) return t.skip(`cannot mount a tmpfs: ${mounted.stderr}`);
  try {
    await appendFile(join(folder, "mayfly.yaml"), "journal: { dir: disk/journal }\n");
    const filler = join(disk, "filler");
    await writeFile(filler, Buffer.alloc(2 ** 25)).catch(() => undefined);
    const ended = new Command(["serve", "-p", "0"]);
    await ended.until(/MF_JOURNAL_FULL/);
    ended.signal("SIGTERM");
    equal(await ended.ended, 0);
    const serving = new Command(["serve", "-p", "0"]);
    await serving.until(/MF_JOURNAL_FULL/);
    await rm(filler);
    equal(await post(await serving.url(), "x"), "hello");
    serving.signal("SIGTERM");
    equal(await serving.ended, 0);
  } finally {
    spawnSync("umount", ["-l", disk], { stdio: "ignore" });
  }
});

test("serve answers, and at SIGTERM finishes what is under way, then ends with 0", async () => {
  await writeProject("one");
  const serving = new Command(["serve", "--port", "0"]);
  const url = await serving.url();
  equal(await post(url, "x"), "one");
  const slow = post(url, "slow");
  await serving.until(/"msg":"under way"/);
  serving.signal("SIGTERM");
  equal(await slow, "one");
  equal(await serving.ended, 0);
  match(serving.out, /"msg":"stopped"/);
});

test("SIGHUP reloads, and what is wrong then is told while the old is served on", async () => {
  await writeProject("one");
  const serving = new Command(["serve", "--port", "0"]);
  const url = await serving.url();
  await writeProject("two");
  serving.signal("SIGHUP");
  await serving.until(/"msg":"reloaded"/);
  equal(await post(url, "x"), "two");
  await writeFile(join(folder, "mayfly.yaml"), "flows: 1\n");
  serving.signal("SIGHUP");
  await serving.until(/not reloaded/);
  equal(await post(url, "x"), "two");
});

test("SIGHUP while it starts does not end it: it reloads once it serves", async () => {
  await writeProject(`early ${process.pid}`); // a word no cached image has, so that it is built
  const serving = new Command(["serve", "--port", "0"]);
  await serving.until(/"msg":"built"/);
  serving.signal("SIGHUP");
  const url = await serving.url();
  await serving.until(/"msg":"reloaded"/);
  equal(await post(url, "x"), `early ${process.pid}`);
});

test("dev takes in changes without dropping a message, and keeps the old image while the new one does not build", async () => {
  await writeProject("one");
  const dev = new Command(["dev", "--port", "0"]);
  const url = await dev.url();
  const answers = new Set<string>();
  let running = true;
  const callers = Array.from({ length: 4 }, async () => {
    while (running) answers.add(await post(url, "x"));
  });
  await writeFile(join(folder, "hello.ts"), flowText("two"));
  await dev.until(/"msg":"reloaded"/);
  equal(await post(url, "x"), "two");
  await writeFile(join(folder, "hello.ts"), `${flowText("three")}\nconst wrong: number = "";`);
  await dev.until(/MF_TYPE_ERROR: hello\.ts:9:7: .*\n.*keeps serving/);
  equal(await post(url, "x"), "two");
  await writeFile(join(folder, "hello.ts"), flowText("four"));
  await dev.until(/"msg":"reloaded"[\s\S]*"msg":"reloaded"/);
  equal(await post(url, "x"), "four");
  running = false;
  await Promise.all(callers);
  ok(answers.has("four") || answers.has("two"));
  deepEqual(
    [...answers].filter((answer) => !["one", "two", "four"].includes(answer)),
    [],
  );
  dev.signal("SIGINT");
  equal(await dev.ended, 0);
});

test("dev watches what a flow imports by now, also while that is at fault; the log places errors in the source", async () => {
  await writeProject("one");
  const dev = new Command(["dev", "--port", "0"]);
  const url = await dev.url();
  await writeFile(join(folder, "word.ts"), "export const word: number = 'two';");
  await writeFile(
    join(folder, "hello.ts"),
    `import { flow } from "mayfly";\nimport { word } from "./word.ts";\nexport default flow(() => { throw new Error(word); });`,
  );
  await dev.until(/word\.ts:1:14: Type .string.[\s\S]*keeps serving/);
  await writeFile(join(folder, "word.ts"), "export const word: string = 'two';");
  await dev.until(/"msg":"reloaded"/);
  await post(url, "x");
  await dev.until(/"stack":"at hello\.ts:3:\d+"/);
});

test("dev waits for a flow that does not build at the start", async () => {
  await writeProject("one");
  await writeFile(join(folder, "hello.ts"), "import { flow } from 'mayfly'; export default flow(() => {");
  const dev = new Command(["dev", "--port", "0"]);
  await dev.until(/MF_\w+: .*hello\.ts:1:\d+:[\s\S]*waiting for changes/);
  await writeFile(join(folder, "hello.ts"), flowText("one"));
  equal(await post(await dev.url(), "x"), "one");
});

test("send puts a message in by flow and by URL, and tells what became of it", async () => {
  await writeProject("sent");
  const serving = new Command(["serve", "--port", "0"]);
  const url = await serving.url();
  const config = join(folder, "mayfly.yaml");
  const byFlow = await capture(["send", "hello", "-m", "-", "-c", config, "--json"], { stdin: "x" });
  equal(byFlow.code, 0, byFlow.err);
  deepEqual((JSON.parse(byFlow.out) as { reply: object }).reply, { status: 200, contentType: "text/plain; charset=utf-8", body: "sent" });
  const byUrl = await capture(["send", `${url}/hello`, "-m", "-"], { stdin: "x" });
  match(byUrl.out, /reply 200[\s\S]*sent[\s\S]*done/);
  const queued = await capture(["send", "hello", "--no-wait", "-c", config, "--json"]);
  equal((JSON.parse(queued.out) as { status: string }).status, "accepted");
  const unknown = await capture(["send", "helo", "-c", config]);
  equal(unknown.code, 2);
  match(unknown.err, /^MF_FLOW_UNKNOWN: .*did you mean "hello"/);
  const elsewhere = await capture(["send", "hello", "--gateway", url]);
  equal(elsewhere.code, 2);
  match(elsewhere.err, /^MF_NOT_FOUND: /);
});

test("send finds the gateway beside a mayfly.yaml whose secrets it does not have", async () => {
  await writeProject("secret");
  const yaml = join(folder, "mayfly.yaml");
  await appendFile(yaml, '    to: { erp: { http: { url: "${MAYFLY_TEST_URL}", headers: { authorization: "${MAYFLY_TEST_SECRET}" } } } }\n');
  const serving = new Command(["serve", "--port", "0"], { MAYFLY_TEST_URL: "http://127.0.0.1:9", MAYFLY_TEST_SECRET: "s" });
  await serving.url();
  const sent = await capture(["send", "hello", "-c", yaml]);
  match(sent.out, /secret/, sent.err);
  for (const command of [
    ["dlq", "ls"],
    ["journal", "check"],
  ]) {
    const { code, err } = await capture([...command, "-c", yaml]);
    equal(code, 0, err);
  }
});

/** The answer of /ready to those who may open the admin socket. */
async function readyDetails(): Promise<{ connector: string; detail: string }[]> {
  const text = await new Promise<string>((done, failed) => {
    get({ socketPath: join(folder, "journal", "admin.sock"), path: "/ready" }, (response) => {
      let read = "";
      response.setEncoding("utf8").on("data", (part: string) => (read += part));
      response.on("end", () => done(read));
    }).on("error", failed);
  });
  return (JSON.parse(text) as { problems: { connector: string; detail: string }[] }).problems;
}

test("/ready is 503 while a connector has no peer, and names it and the code to those who may see them", async () => {
  await writeProject("one");
  const away = "127.0.0.1:9";
  const connectors = {
    amqp: `{ url: "amqp://${away}", queue: q }`,
    amqp1: `{ url: "amqp://${away}", address: a }`,
    jetstream: `{ url: "nats://${away}", stream: S, subject: s, consumer: c }`,
    nats: `{ url: "nats://${away}", subject: s }`,
    mqtt: `{ url: "mqtt://${away}", topic: t }`,
    redis: `{ url: "redis://${away}", stream: s }`,
    s3: `{ endpoint: "http://${away}", bucket: orders, accessKeyId: a, secretAccessKey: b }`,
    kafka: `{ brokers: ["${away}"], topics: [t] }`,
    postgres: `{ url: "postgres://u:p@${away}/d", table: t }`,
    mysql: `{ url: "mysql://u:p@${away}/d", table: t }`,
  };
  const unreachable = {
    amqp: "MF_AMQP_UNREACHABLE",
    amqp1: "MF_AMQP1_UNREACHABLE",
    jetstream: "MF_NATS_UNREACHABLE",
    nats: "MF_NATS_UNREACHABLE",
    mqtt: "MF_MQTT_UNREACHABLE",
    redis: "MF_REDIS_UNREACHABLE",
    s3: "MF_S3_UNREACHABLE",
    kafka: "MF_KAFKA_UNREACHABLE",
    postgres: "MF_POSTGRES_UNREACHABLE",
    mysql: "MF_MYSQL_UNREACHABLE",
    smtp: "MF_SMTP_UNREACHABLE",
  };
  const listed = Object.entries(connectors);
  const lines = [
    ...listed.map(([name, settings]) => `      - ${name}: ${settings}`),
    "    to:",
    ...listed.map(
      ([name, settings]) => `      ${name}: { ${name}: ${settings.replace(", consumer: c", "").replace("topics: [t]", "topic: t")} }`,
    ),
    `      smtp: { smtp: { url: "smtp://${away}", from: a@b.c, to: a@b.c, subject: s } }`,
  ];
  await appendFile(join(folder, "mayfly.yaml"), "journal: { dir: journal }\n");
  const yaml = await readFile(join(folder, "mayfly.yaml"), "utf8");
  await writeFile(
    join(folder, "mayfly.yaml"),
    yaml.replace("from: [{ http: { path: /hello } }]", `from:\n      - http: { path: /hello }\n${lines.join("\n")}`),
  );
  const url = await new Command(["serve", "--port", "0"]).url();
  const codes = async (): Promise<string[]> =>
    (await readyDetails()).map(({ connector, detail }) => `${connector} ${/^MF_\w+(?=: )/.exec(detail)?.[0]}`).sort();
  const expected = [
    ...listed.map(([name], index) => `from[${index + 1}] ${unreachable[name as keyof typeof unreachable]}`),
    ...Object.entries(unreachable).map(([name, code]) => `to.${name} ${code}`),
  ].sort();
  const untilMs = Date.now() + patienceMs;
  while ((await codes()).join() !== expected.join() && Date.now() < untilMs) await new Promise((done) => setTimeout(done, 50));
  deepEqual(await codes(), expected);
  const told = await fetch(`${url}/ready`);
  deepEqual([told.status, await told.json()], [503, { ready: false }]);
  equal(await post(url, "x"), "one");
});

test("what can't be served ends with 2 and says what to do", async () => {
  await writeProject("one");
  const first = new Command(["serve", "--port", "0"]);
  const port = new URL(await first.url()).port;
  await mkdir(join(folder, "second"));
  await writeFile(join(folder, "second", "mayfly.yaml"), "flows:\n  hello: { flow: ../hello.ts, from: [{ http: { path: /hello } }] }\n");
  const second = new Command(["serve", "-c", "second/mayfly.yaml", "--port", port]);
  equal(await second.ended, 2);
  match(second.err, /^MF_[A-Z_]*PORT[A-Z_]*: .*in use|^MF_\w+: .*(in use|taken)/m);
  for (const [config, expected] of [
    ["nowhere.yaml", /^MF_CONFIG_FILE: /],
    ["wrong.yaml", /^MF_CONFIG_INVALID: wrong\.yaml:1:1: [\s\S]*unknown key "flws"; did you mean "flows"/],
    ["env.yaml", /^MF_CONFIG_ENV: env\.yaml:4:\d+: .*MAYFLY_TEST_MISSING/],
  ] as const) {
    await writeFile(join(folder, "wrong.yaml"), "flws: {}\n");
    await writeFile(
      join(folder, "env.yaml"),
      'flows:\n  hello:\n    flow: hello.ts\n    to: { a: { http: { url: "${MAYFLY_TEST_MISSING}" } } }\n',
    );
    const { code, err } = await capture(["serve", "-c", join(folder, config)]);
    equal(code, 2);
    match(err, expected);
    equal(/\n\s+at /.test(err), false);
  }
  await writeFile(join(folder, "no-folder"), "a file");
  const http = (path: string): string => `http: { path: "${path}" }`;
  for (const [sources, expected, more] of [
    [[http("/a"), http("/a")], /^MF_CONFIG_INVALID: source\.yaml:6:\d+: .*POST \/a is taken by flows\.hello/],
    [[http("/a/:x"), http("/a/:y")], /^MF_(?:ROUTE_TAKEN|CONFIG_INVALID): .*POST \/a\/:y is (?:served|taken) by/],
    [[http("/a/*/b")], /^MF_ROUTE_INVALID: the path \/a\/\*\/b can't be used: /],
    [[http("/a/:x/:x")], /^MF_ROUTE_INVALID: .*it has the parameter :x twice/],
    [["nats: { url: http://localhost, subject: s }"], /^MF_CONFIG_URL: source\.yaml:5:\d+: .*nats:\/\/ or tls:\/\//],
    [["file: { dir: no-folder }"], /^MF_FILE_SOURCE_DIR: the folder no-folder of flows\.hello can't be used: /],
    [[http("/a")], /^MF_LISTEN: cannot listen on 203\.0\.113\.7/, "http: { host: 203.0.113.7 }\n"],
  ] as const) {
    const listed = sources.map((source) => `      - ${source}\n`).join("");
    await writeFile(
      join(folder, "source.yaml"),
      `flows:\n  hello:\n    flow: hello.ts\n    from:\n${listed}journal: { memory: true }\n${more ?? ""}`,
    );
    const { code, err } = await capture(["serve", "-c", join(folder, "source.yaml"), "--port", "0"]);
    equal(code, 2, err);
    match(err, expected);
  }
  const nobody = await capture(["send", "hello", "--gateway", "http://127.0.0.1:9"]);
  equal(nobody.code, 2);
  match(nobody.err, /^MF_GATEWAY_UNREACHABLE: .*mayfly serve/);
});
