import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const logged: string[] = [];
let folder: string;
let serving: Serving;
let config: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-dlq-"));
  config = join(folder, "mayfly.yaml");
  await writeFile(
    join(folder, "strict.ts"),
    `import { fail, flow } from "mayfly";
export default flow((msg, { log }) => {
  log.info("looking");
  if (msg.text() !== "good") refuse(msg.text());
});
function refuse(text: string): never {
  fail("not good: " + text, { code: "NOT_GOOD", retry: false });
}`,
  );
  await writeFile(
    config,
    "flows:\n  strict: { flow: strict.ts, from: [] }\n  held: { flow: strict.ts, key: 'header:k', onDead: hold }\njournal: { dir: journal }\ndeadLetters: { dir: dead }\n",
  );
  serving = await serve({
    file: config,
    port: 0,
    logger: { ...silentLogger, info: (_fields, text) => void logged.push(text), child: () => silentLogger },
  });
});
after(async () => {
  await serving?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Letter {
  readonly id: string;
  readonly failure: { readonly code: string };
}

async function letters(...more: string[]): Promise<Letter[]> {
  const { code, out, err } = await capture(["dlq", "ls", "-c", config, "--json", ...more]);
  equal(code, 0, err);
  return JSON.parse(out) as Letter[];
}

/** Sends a body that is refused, and waits until it is a dead letter. */
async function bury(body: string): Promise<void> {
  const before = (await letters()).length;
  await capture(["send", "strict", "-m", "-", "--no-wait", "--gateway", `unix:${serving.gateway.admin.socket}`], { stdin: body });
  const untilMs = Date.now() + 10_000;
  while ((await letters()).length === before && Date.now() < untilMs) await new Promise((done) => setTimeout(done, 20));
  equal((await letters()).length, before + 1);
}

test("dead letters are listed, shown with their place in the source, retried, corrected, exported and dropped", async () => {
  await bury("bad");
  const [letter] = await letters();
  equal(letter?.failure.code, "NOT_GOOD");
  deepEqual(await letters("--code", "OTHER"), []);
  deepEqual(await letters("--flow", "other"), []);
  deepEqual(await letters("--gateway", `unix:${serving.gateway.admin.socket}`), [letter]);

  const id = letter?.id ?? "";
  const shown = await capture(["dlq", "show", id, "-c", config]);
  match(
    shown.out,
    /NOT_GOOD: not good: bad[\s\S]*body 3 B\n {2}bad[\s\S]*attempt 1 [\s\S]*info looking[\s\S]*at refuse \(\S*strict\.ts:7:\d+\)/,
  );
  equal((JSON.parse((await capture(["dlq", "show", id, "-c", config, "--json"])).out) as { body: string }).body, "bad");

  const out = join(folder, "out");
  await capture(["dlq", "export", "-o", out, "-c", config]);
  equal(await readFile(join(out, `${id}.body`), "utf8"), "bad");

  const retried = await capture(["dlq", "retry", id, "--edit", "-", "--gateway", `unix:${serving.gateway.admin.socket}`, "--json"], {
    stdin: "good",
  });
  equal(retried.code, 0, retried.out);
  deepEqual(await letters(), []);
});

test("an edited letter: the original stays until the edited one has ended well, and how it ended is told", async () => {
  await bury("worse");
  const [original] = await letters();
  const id = original?.id ?? "";
  const failed = await capture(["dlq", "retry", id, "--edit", "-", "-c", config], { stdin: "still bad" });
  equal(failed.code, 1, failed.err);
  match(failed.out, /: dead NOT_GOOD: not good: still bad\nfailed again: the original is kept/);
  const both = await letters();
  equal(both.length, 2);
  const shown = await capture(["dlq", "show", id, "-c", config, "--json"]);
  equal((JSON.parse(shown.out) as { body: string }).body, "worse");
  const done = await capture(["dlq", "retry", id, "--edit", "-", "-c", config, "--json"], { stdin: "good" });
  equal((JSON.parse(done.out) as { outcomes: { status: string }[] }).outcomes[0]?.status, "done");
  deepEqual(
    (await letters()).map((letter) => letter.id),
    both.map((letter) => letter.id).filter((each) => each !== id),
  );
  match(logged.join("\n"), /is retried[\s\S]*edited dead letter has ended/);
  await capture(["dlq", "drop", "--all", "-c", config]);
});

test("a letter that is retried as it was: its end is told, dead again or done", async () => {
  await bury("hopeless");
  const [first] = await letters();
  const failed = await capture(["dlq", "retry", first?.id ?? "", "-c", config, "--json"]);
  equal(failed.code, 1, failed.err);
  const {
    retried,
    failed: count,
    outcomes,
  } = JSON.parse(failed.out) as {
    retried: number;
    failed: number;
    outcomes: { letter: string; status: string; failure: { code: string } }[];
  };
  deepEqual([retried, count, outcomes[0]?.letter, outcomes[0]?.status, outcomes[0]?.failure.code], [0, 1, first?.id, "dead", "NOT_GOOD"]);
  await bury("hopeless too");
  const strict = await readFile(join(folder, "strict.ts"), "utf8");
  await writeFile(join(folder, "strict.ts"), strict.replace('!== "good"', '=== ""'));
  await serving.reload();
  const ids = (await letters()).map(({ id }) => id);
  const done = await capture(["dlq", "retry", "--all", "-c", config]);
  equal(done.code, 0, done.out + done.err);
  equal(done.out, `${ids.map((id) => `${id}: done\n`).join("")}2 retried\n`);
  deepEqual(await letters(), []);
  await writeFile(join(folder, "strict.ts"), strict);
  await serving.reload();
});

test("a command that lacks something names itself whole", async () => {
  for (const [command, path] of [
    [["dlq", "show"], "mayfly dlq show"],
    [["journal", "nonsense"], "mayfly journal"],
    [["send"], "mayfly send"],
  ] as const) {
    const { code, err } = await capture([...command]);
    equal(code, 2);
    match(err, new RegExp(`see ${path} --help`));
  }
});

test("several are chosen by what they have in common, and never all of them by accident", async () => {
  await bury("one");
  await bury("two");
  const careless = await capture(["dlq", "drop", "-c", config]);
  equal(careless.code, 2);
  match(careless.err, /^MF_USAGE: choose letters by id, --flow, --code or --all/);
  equal((await letters()).length, 2);
  match((await capture(["dlq", "drop", "--code", "NOT_GOOD", "-c", config])).out, /2 dropped/);
  deepEqual(await letters(), []);
  equal((await capture(["dlq", "show", "strict/nowhere", "-c", config])).code, 2);
  equal((await capture(["dlq", "drop", "strict/nowhere", "-c", config])).code, 1);
});

test("the journal is checked beside a running gateway, and not compacted under it", async () => {
  const checked = await capture(["journal", "check", "-c", config, "--json"]);
  equal(checked.code, 0, checked.err);
  equal((JSON.parse(checked.out) as { ok: boolean }).ok, true);
  const compacted = await capture(["journal", "compact", "-c", config]);
  equal(compacted.code, 2);
  match(compacted.err, /^MF_JOURNAL_LOCKED: /);
  const exported = await capture(["journal", "export", "-c", config, "--part", "history"]);
  for (const line of exported.out.trim().split("\n")) equal((JSON.parse(line) as { kind: string }).kind, "history");
});

test("a letter that holds is shown as such, its retry tells how it ended, and dropping it from the folder lets go", async () => {
  const gateway = ["--gateway", `unix:${serving.gateway.admin.socket}`];
  const give = (body: string): Promise<{ readonly code: number }> =>
    capture(["send", "held", "-m", "-", "--no-wait", "--header", "k=x", ...gateway], { stdin: body });
  await give("bad");
  const untilMs = Date.now() + 10_000;
  while ((await letters("--flow", "held")).length === 0 && Date.now() < untilMs) await new Promise((done) => setTimeout(done, 20));
  await give("good");
  const { out } = await capture(["dlq", "ls", "-c", config, "--flow", "held"]);
  match(out, /HOLDS[^]*key x/);
  const [letter] = await letters("--flow", "held");
  const again = await capture(["dlq", "retry", "-c", config, ...gateway, letter?.id ?? ""]);
  equal(again.code, 1);
  match(again.out, /dead NOT_GOOD/);
  const done = (): number => Number(/mayfly_flow_done_total\{flow="held"\} (\d+)/.exec(text)?.[1] ?? 0);
  let text = "";
  equal(done(), 0);
  equal((await capture(["dlq", "drop", "-c", config, "--flow", "held"])).code, 0);
  while (done() === 0 && Date.now() < untilMs + 10_000) text = await (await fetch(`${serving.url}/metrics`)).text();
  equal(done(), 1);
});
