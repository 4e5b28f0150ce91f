/** Records of microVMs, with a process that stands for QEMU: they are told apart from processes that got their number later. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { allMachines, claimFolder, readConsole, requireMachine, standaloneLimits, stopMachine } from "#standalone";
import { type MachineRecord, machinesFolder, writeRecord } from "./folder.ts";
import { startOf } from "./process.ts";

let state: string;
let environment: Readonly<Record<string, string>>;
const children: ChildProcess[] = [];

before(async () => {
  state = await mkdtemp(join(tmpdir(), "mayfly-state-"));
  environment = { XDG_STATE_HOME: state };
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(state, { recursive: true, force: true });
});

/** A process that stays. */
async function sleeper(): Promise<{ readonly child: ChildProcess; readonly pid: number; readonly start: string }> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); console.log(1)"], { stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  await new Promise((done) => child.stdout?.once("data", done));
  const pid = child.pid as number;
  return { child, pid, start: startOf(pid) as string };
}

const record = (name: string, pid: number, start: string): MachineRecord => ({
  name,
  process: { pid, start },
  startedAt: new Date().toISOString(),
  elf: "/app.elf",
  service: "api",
  version: "1.0.0",
  image: "ab",
  ports: [],
  memoryBytes: 1,
  accelerator: "tcg",
  drainMs: 1,
});

test("a start's mark is that of the process, and of no other", async () => {
  const { child, pid, start } = await sleeper();
  equal(startOf(pid), start);
  ok(start !== startOf(process.pid));
  child.kill("SIGKILL");
  await new Promise((done) => child.once("exit", done));
  equal(startOf(pid), undefined);
});

test("folders and files are the user's only; a name that runs is taken, one that has ended is free", async () => {
  const { child, pid, start } = await sleeper();
  const folder = await claimFolder("one", environment);
  await rejects(claimFolder("one", environment), { code: "MF_MICROVM_NAME" }); // a start under way
  await writeRecord(folder, record("one", pid, start));
  equal((await stat(folder)).mode & 0o777, 0o700);
  equal((await stat(join(folder, "machine.json"))).mode & 0o777, 0o600);
  await rejects(claimFolder("one", environment), { code: "MF_MICROVM_NAME", message: /mayfly stop one/ });
  child.kill("SIGKILL");
  await new Promise((done) => child.once("exit", done));
  deepEqual(
    (await allMachines(environment)).map(({ record: { name }, running }) => [name, running]),
    [["one", false]],
  );
  equal(await claimFolder("one", environment), folder);
  for (const name of ["", "a/b", "..", "-x", "x".repeat(65)]) await rejects(claimFolder(name, environment), { code: "MF_MICROVM_NAME" });
  await rejects(requireMachine("nobody", environment), { code: "MF_MICROVM_UNKNOWN", message: /mayfly ps/ });
});

test("a number that another process has by now is left alone", async () => {
  const { child, pid } = await sleeper();
  await writeRecord(await claimFolder("old", environment), record("old", pid, "another start"));
  equal(await stopMachine(await requireMachine("old", environment)), "ended");
  equal(child.exitCode ?? child.signalCode, null);
  await rejects(requireMachine("old", environment), { code: "MF_MICROVM_UNKNOWN" });
});

test("one that does not hear its button is switched off, and its files go", async () => {
  const { child, pid, start } = await sleeper();
  await writeRecord(await claimFolder("deaf", environment), record("deaf", pid, start));
  const exit = new Promise((done) => child.once("exit", (_code, signal) => done(signal)));
  equal(await stopMachine(await requireMachine("deaf", environment)), "killed");
  equal(await exit, "SIGKILL");
  deepEqual(
    (await readdir(machinesFolder(environment))).filter((name) => name !== "one"),
    [],
  );
});

test("damaged records are no microVMs", async () => {
  for (const [index, text] of [
    "",
    "{",
    "null",
    "[]",
    '{"name":"../x"}',
    '{"name":"a","process":{"pid":1,"start":"x"},"ports":[],"drainMs":1}',
  ].entries()) {
    const folder = join(machinesFolder(environment), `bad${index}`);
    await mkdir(folder);
    await writeFile(join(folder, "machine.json"), text);
  }
  deepEqual(
    (await allMachines(environment)).filter(({ folder }) => folder.includes("bad")),
    [],
  );
});

test("the console is followed to the end of the microVM, without what a terminal would obey", async () => {
  const { child, pid, start } = await sleeper();
  const folder = await claimFolder("talks", environment);
  await writeRecord(folder, record("talks", pid, start));
  const path = join(folder, "console.log");
  await writeFile(path, "one\x1b[2J\n");
  let text = "";
  const machine = await requireMachine("talks", environment);
  const write = (part: string): void => {
    text += part;
    if (text.endsWith("one[2J\n")) void writeFile(path, "two\n", { flag: "a" });
    if (text.endsWith("two\n")) child.kill("SIGKILL");
  };
  equal(await readConsole(machine, true, write, new AbortController().signal), false);
  match(text, /^one\[2J\ntwo\n$/);
  await truncate(path, standaloneLimits.consoleBytes);
  equal(await readConsole(machine, false, () => undefined, new AbortController().signal), true);
});

test("a state folder that can't be written says what to set", {
  skip: process.getuid?.() === 0 ? "root can write everywhere" : false,
}, async () => {
  const folder = join(state, "closed");
  await mkdir(folder, { mode: 0o500 });
  await chmod(folder, 0o500);
  await rejects(claimFolder("a", { XDG_STATE_HOME: folder }), { code: "MF_MICROVM_STATE", message: /XDG_STATE_HOME/ });
});
