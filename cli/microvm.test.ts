/** The commands of microVMs: what they show, and how they refuse. A whole life is in examples/microservice. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { encodeService, type Service } from "#abi";
import { capture, type Captured } from "#cli";
import { writeElf } from "#compiler";
import { serviceNote } from "#image";
import { freePort } from "../base/testing/free-port.ts";
import { qemuMissing } from "../monitors/qemu/testing/guests.ts";

let folder: string;
let elf: string;
let env: Readonly<Record<string, string>>;

const service: Service = {
  ...{ name: "api", version: "1.2.3", imageSha256: "ab".repeat(32), drainMs: 1_000, logLevel: "info" },
  ...{ port: 80, healthPort: 0, syslog: undefined },
  auth: [[{ type: "bearer", header: "authorization", caller: undefined, secret: "${TOKEN}" }]],
  flows: [
    {
      ...{ name: "orders", concurrency: 1, queue: 1 },
      limits: { memoryBytes: 2 ** 24, cpuMs: 1, timeMs: 1, sends: 1, logBytes: 1 },
      routes: [{ path: "/orders/:id", methods: ["GET", "PUT"], timeoutMs: 0, bodyLimit: 1024, auth: 0, idHeader: "id", fullErrors: false }],
      ...{ outlets: [], lines: [], schedules: [] },
      values: { region: "${REGION:-eu}" },
    },
  ],
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-up-"));
  elf = join(folder, "app.elf");
  env = { XDG_STATE_HOME: join(folder, "state"), TOKEN: "t" };
  // It has a service, but nothing that a hypervisor could start.
  await writeFile(elf, writeElf({ entry: 0n, segments: [], symbols: [], notes: [serviceNote(encodeService(service))] }));
});
after(() => rm(folder, { recursive: true, force: true }));

const run = (...values: string[]): Promise<Captured> => capture(values, { env });

test("inspect shows the service in an ELF, for people and for programs", async () => {
  const { out, code } = await run("inspect", elf);
  equal(code, 0);
  match(
    out,
    /^api 1\.2\.3 [\s\S]*image +abab[\s\S]*port +80, with \/healthz[\s\S]*settings +TOKEN, REGION \(optional\)[\s\S]*^orders$[\s\S]*GET PUT +\/orders\/:id +1\.0 KiB +bearer/m,
  );
  const json = JSON.parse((await run("inspect", elf, "--json")).out) as { readonly service: Service; readonly settings: readonly string[] };
  deepEqual(json.settings, ["TOKEN", "REGION"]);
  deepEqual(json.service.flows[0]?.limits, service.flows[0]?.limits);
  await writeFile(join(folder, "bare.elf"), writeElf({ entry: 0n, segments: [], symbols: [] }));
  match(
    (await run("inspect", join(folder, "bare.elf"))).err,
    /MF_MICROVM_ELF: .*bare\.elf is no microVM and no service: .*--target microvm/,
  );
});

test("up says what is wrong with its arguments, the ELF and the settings", async () => {
  const config = join(folder, "config.json");
  await writeFile(config, "{}");
  await writeFile(join(folder, "wrong.json"), '{"setings":{}}');
  for (const [values, problem] of [
    [[join(folder, "none.elf")], /MF_FILE_UNREADABLE: /],
    [[config], /MF_MICROVM_ELF: /],
    [[elf, "-p", "8080:81"], /MF_MICROVM_PORT: api listens on 80/],
    [[elf, "-p", "x"], /MF_MICROVM_PORT: /],
    [[elf, "--memory", "1M"], /MF_USAGE: --memory must be from 2M to 1024M/],
    [[elf, "--memory", "much"], /MF_USAGE: /],
    [[elf, "--config", join(folder, "none.json")], /MF_FILE_UNREADABLE: /],
    [[elf, "--config", join(folder, "wrong.json")], /MF_MICROVM_CONFIG: .*"setings"/],
    [[elf, "--tap", "tap0", "-p", "8080:80"], /MF_USAGE: .*leave -p out/],
    [[elf, "--tap", "a,b=c"], /MF_USAGE: /],
    [[elf, "--json"], /MF_USAGE: --json goes with --detach/],
    [[elf, "--profile", "x"], /MF_USAGE: unknown option/],
  ] as const) {
    const { code, err } = await run("up", ...values);
    equal(code, 2, values.join(" "));
    match(err, problem);
  }
  match(
    (await capture(["up", elf], { env: { XDG_STATE_HOME: folder } })).err,
    /MF_MICROVM_SETTING: the service needs TOKEN: set it in the environment/,
  );
});

test("a microVM that does not start says what QEMU said, and leaves nothing", {
  skip: qemuMissing() ?? false,
}, async () => {
  for (const more of [[], ["--detach"]]) {
    const { code, err } = await run("up", elf, "-p", `${await freePort()}:80`, ...more);
    equal(code, 2);
    match(err, /MF_MICROVM_ENDED: the microVM does not serve: .*\n +.*(PVH|kernel)/);
  }
  deepEqual(await readdir(join(folder, "state", "mayfly", "machines")), []);
});

test("ps, logs and stop without microVMs", async () => {
  equal((await run("ps")).out, "no microVM is running\n");
  deepEqual(JSON.parse((await run("ps", "--json")).out), { machines: [] });
  deepEqual(JSON.parse((await run("stop", "--all", "--json")).out), { stopped: [] });
  match((await run("stop")).err, /MF_USAGE: name one microVM, or say --all/);
  match((await run("stop", "a", "--all")).err, /MF_USAGE/);
  match((await run("stop", "a")).err, /MF_MICROVM_UNKNOWN/);
  match((await run("logs", "../a")).err, /MF_MICROVM_UNKNOWN/);
  match((await run("logs", "a", "-f", "--json")).err, /MF_USAGE: --json is one object/);
});
