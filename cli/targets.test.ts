import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, type Captured } from "#cli";
import { serviceOf } from "#image";

let folder: string;
const text =
  'import { flow } from "mayfly"; export default flow((msg, { log }) => { log.info("here"); return msg.text().toUpperCase(); });';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-targets-"));
  await writeFile(join(folder, "shout.ts"), text);
  await writeFile(join(folder, "message.txt"), "hello");
});
after(() => rm(folder, { recursive: true, force: true }));

test("a flow is built as an executable for Linux, and says so", {
  skip: process.platform !== "linux" || process.arch !== "x64",
}, async () => {
  const output = join(folder, "shout.elf");
  const { code, out } = await capture(["build", join(folder, "shout.ts"), "--target", "linux", "-o", output, "--json"]);
  equal(code, 0);
  equal((JSON.parse(out) as { target: string }).target, "linux");
  // Run by hand it has no one to speak with, and ends.
  equal(spawnSync(output, { stdio: "ignore", timeout: 10_000 }).signal, null);
});

const qemu = spawnSync("qemu-system-x86_64", ["--version"]).error === undefined;

test("a flow is built to boot without an operating system, and boots", { skip: qemu ? false : "QEMU is not installed" }, async () => {
  const output = join(folder, "shout.pvh.elf");
  equal((await capture(["build", join(folder, "shout.ts"), "--target", "pvh", "-o", output])).code, 0);
  const { code, out, err } = await capture([
    "boot",
    output,
    "--message",
    join(folder, "message.txt"),
    "--content-type",
    "text/plain",
    "--verbose",
  ]);
  equal(code, 0, err);
  match(out, /memory map[\s\S]*log {4}info here[\s\S]*reply {2}200 HELLO/);
});

test("boot --json writes one object; an ELF that does not boot and a flow that fails end with 1", {
  skip: qemu ? false : "QEMU is not installed",
}, async () => {
  const elf = join(folder, "shout.json.elf");
  equal((await capture(["build", join(folder, "shout.ts"), "--target", "pvh", "-o", elf])).code, 0);
  const bootJson = async (file: string, stdin?: string): Promise<{ code: number; result: Record<string, unknown> }> => {
    const message = stdin === undefined ? [] : ["--message", "-", "--content-type", "text/plain"];
    const { code, out } = await capture(["boot", file, ...message, "--json"], stdin === undefined ? {} : { stdin });
    return { code, result: JSON.parse(out) as Record<string, unknown> };
  };
  const answered = await bootJson(elf, "hello");
  equal(answered.code, 0);
  deepEqual(answered.result["effects"], [
    { kind: "log", level: "info", text: "here" },
    { kind: "done", status: 200, contentType: "text/plain; charset=utf-8", body: "HELLO" },
  ]);
  const booted = await bootJson(elf);
  deepEqual([booted.code, booted.result["end"], booted.result["effects"]], [0, "the guest ended as requested", undefined]);
  equal((await bootJson(join(folder, "message.txt"))).code, 1);
  await writeFile(join(folder, "fails.ts"), 'import { flow } from "mayfly"; export default flow(() => { throw new Error("no"); });');
  const failing = join(folder, "fails.elf");
  equal((await capture(["build", join(folder, "fails.ts"), "--target", "pvh", "-o", failing])).code, 0);
  equal((await bootJson(failing, "hello")).code, 1);
});

test("a flow is built as a microVM with the service of its mayfly.yaml, of the one named, or one that gets every request", async () => {
  const project = join(folder, "service");
  await mkdir(join(project, "flows"), { recursive: true });
  for (const name of ["api", "other", "alone"]) await writeFile(join(project, "flows", `${name}.ts`), text);
  const flowOf = (name: string): string => `  ${name}: { flow: flows/${name}.ts, from: [{ http: { path: /${name} } }] }\n`;
  await writeFile(join(project, "package.json"), '{ "version": "1.2.3" }');
  await writeFile(join(project, "mayfly.yaml"), `flows:\n${flowOf("api")}${flowOf("other")}`);
  await writeFile(join(project, "one.yaml"), `monitor: qemu\nflows:\n${flowOf("api")}`);
  const output = join(project, "app.elf");
  const build = async (...values: string[]): Promise<Captured & { readonly paths: readonly string[] }> => {
    await rm(output, { force: true });
    const ended = await capture(["build", ...values, "--target", "microvm", "-o", output, "--no-check"]);
    const service = existsSync(output) ? serviceOf(await readFile(output)) : undefined;
    return { ...ended, paths: service?.ok === true ? service.value.flows.flatMap(({ routes }) => routes.map(({ path }) => path)) : [] };
  };
  deepEqual((await build(join(project, "flows/api.ts"))).paths, ["/api"]);
  deepEqual((await build(join(project, "flows/other.ts"))).paths, ["/other"]);
  deepEqual((await build(join(project, "flows/alone.ts"))).paths, ["/", "/*"]);
  const one = await build("--config", join(project, "one.yaml"));
  deepEqual(one.paths, ["/api"]);
  match(one.err, /warning: monitor does not count in a standalone service/);
  const both = await build("--config", join(project, "mayfly.yaml"));
  equal(both.code, 0, both.err);
  deepEqual(both.paths, ["/api", "/other"]);
  match((await build(join(project, "flows/alone.ts"), "-c", join(project, "one.yaml"))).err, /MF_USAGE: .*does not name the flow/);
  match((await capture(["build"])).err, /MF_USAGE: name the flows to build/);
  match(
    (await capture(["build", "-c", "mayfly.yaml", "a.ts"])).err,
    /MF_USAGE: --config counts for --target microvm and --target linux --serve only/,
  );
});

test("a flow is built as a Linux executable that serves, which up and inspect know", async () => {
  const output = join(folder, "app");
  const build = (...values: string[]): Promise<Captured> =>
    capture(["build", join(folder, "shout.ts"), "-o", output, "--no-check", ...values]);
  equal((await build("--target", "linux", "--serve")).code, 0);
  const service = serviceOf(await readFile(output));
  ok(service.ok && service.value.port === 8080);
  match((await capture(["inspect", output])).out, /file +2\.\d MiB, a Linux executable/);
  match((await capture(["up", output])).err, /MF_MICROVM_ELF: .* is a Linux executable and no microVM: start it as a program/);
  match((await build("--target", "microvm", "--serve")).err, /MF_USAGE: --serve goes with --target linux/);
  match((await build("--target", "linux", "--config", "mayfly.yaml")).err, /MF_USAGE: --config counts for/);
});

test("the compiler shows a function after each phase, and says which functions there are", async () => {
  for (const [phase, expected] of [
    ["operators", /local\.get/],
    ["ir", /block0/],
    ["alloc", /→/],
    ["asm", /\bc3\b|c3$/m],
    ["baseline", /./],
  ] as const) {
    const { code, out } = await capture(["compile", "--function", "JS_NewNumber", "--dump", phase]);
    equal(code, 0);
    match(out, expected);
  }
  match((await capture(["compile"])).out, /\tJS_NewNumber\n/);
  const { code, err } = await capture(["compile", "--function", "nobody"]);
  equal(code, 2);
  match(err, /MF_USAGE: the module defines no function nobody/);
});
