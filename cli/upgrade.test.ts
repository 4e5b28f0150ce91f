/** An upgrade of Mayfly to a version with another kernel: machines that slept meanwhile wake in their own image, on the kernel it was booted with. */
import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";
import { packageRoot } from "./package.ts";

const source = `import { flow } from "mayfly";
export default flow<"out">(async (msg, { to, wait }) => {
  const before = new Map([["text", msg.text()]]);
  await wait("go", { key: msg.text(), timeout: "2d" });
  to.out.send({ woke: before.get("text") });
});`;

let upgraded: string;
let newer: { readonly serve: typeof serve; readonly capture: typeof capture };
let folder: string;
let serving: Serving | undefined;
let peerUrl = "";
let saw: unknown[] = [];
let onPeer: () => void = () => undefined;
const peer = createServer((request, response) => {
  let text = "";
  request.on("data", (piece) => (text += String(piece)));
  request.on("end", () => {
    saw.push(JSON.parse(text));
    response.end();
    onPeer();
  });
});

before(async () => {
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  peerUrl = `http://127.0.0.1:${(peer.address() as AddressInfo).port}/`;
  // Another version of Mayfly: this one with another kernel.
  upgraded = await mkdtemp(join(tmpdir(), "mayfly-upgraded-"));
  const filter = (path: string): boolean => !/\.test\.js$|\.map$/.test(path);
  for (const part of ["dist", "kernel/runtime", "package.json", "tsconfig.json"])
    await cp(join(packageRoot, part), join(upgraded, part), { recursive: true, filter });
  await symlink(join(packageRoot, "node_modules"), join(upgraded, "node_modules"));
  const runtime = join(upgraded, "dist/kernel/runtime.js.br");
  await writeFile(runtime, brotliCompressSync(`${brotliDecompressSync(await readFile(runtime)).toString()}\n// of another version\n`));
  newer = (await import(pathToFileURL(join(upgraded, "dist/cli/mod.js")).href)) as typeof newer;
});
after(async () => {
  peer.closeAllConnections();
  peer.close();
  await rm(upgraded, { recursive: true, force: true });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-upgrade-"));
  saw = [];
  await writeFile(join(folder, "waiter.ts"), source);
});
afterEach(async () => {
  await serving?.stop();
  serving = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function started(version: Pick<typeof newer, "serve">, monitor: string): Promise<Serving> {
  const yaml = `http: { port: 0 }
monitor: ${monitor}
flows:
  waiter:
    flow: waiter.ts
    from: [ { http: { path: /waiters, mode: accept } } ]
    signals: { go: { from: [ { http: { path: "/go/:key" } } ], key: "path:key" } }
    to: { out: { http: { url: "${peerUrl}" } } }
`;
  await writeFile(join(folder, "mayfly.yaml"), yaml);
  serving = await version.serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
  return serving;
}

interface Sleeper {
  readonly image: string;
  readonly state: string;
  readonly problem: string | null;
}

/** The one that sleeps, once it does. */
async function asleep(): Promise<Sleeper> {
  for (;;) {
    const { code, out, err } = await newer.capture(["sleepers", "ls", "--json", "-c", join(folder, "mayfly.yaml")]);
    equal(code, 0, err);
    const [found] = (JSON.parse(out) as { readonly sleepers: readonly Sleeper[] }).sleepers;
    if (found !== undefined) return found;
  }
}

async function peerHas(count: number): Promise<void> {
  while (saw.length < count) await new Promise<void>((resolve) => (onPeer = resolve));
}

async function post(path: string, body: string): Promise<void> {
  const response = await fetch(`${serving?.url}${path}`, { method: "POST", body });
  equal(response.status, 202, await response.text());
}

/** The first test, since a kernel is read once. */
test("a kernel that is gone leaves its sleepers stuck, with what to do, until it is back", { timeout: 120_000 }, async () => {
  await started({ serve }, "embedded");
  await post("/waiters", "old");
  await asleep();
  await serving?.stop();
  const store = join(folder, ".mayfly/images");
  const [kernel = ""] = (await readdir(store)).filter((name) => name.endsWith(".kernel"));
  await rename(join(store, kernel), join(folder, "away"));

  await started(newer, "embedded");
  await post("/go/old", "");
  let stuck = await asleep();
  while (stuck.state !== "stuck") stuck = await asleep();
  match(stuck.problem ?? "", /MF_IMAGE_VERSION.*\.kernel/);
  await serving?.stop();
  await rename(join(folder, "away"), join(store, kernel));
  await started(newer, "embedded");
  await peerHas(1);
  deepEqual(saw, [{ woke: "old" }]);
});

const monitors = process.platform === "linux" && process.arch === "x64" ? ["embedded", "process"] : ["embedded"];
for (const monitor of monitors)
  test(`${monitor}: who slept before the upgrade wakes after it, and whoever comes then meets the new kernel`, {
    timeout: 120_000,
  }, async () => {
    await started({ serve }, monitor);
    await post("/waiters", "old");
    const { image } = await asleep();
    await serving?.stop();

    await started(newer, monitor);
    await post("/waiters", "new");
    await post("/go/new", "");
    await peerHas(1);
    deepEqual(saw, [{ woke: "new" }]);
    equal((await asleep()).image, image);
    await post("/go/old", "");
    await peerHas(2);
    deepEqual(saw[1], { woke: "old" });
    const { out } = await newer.capture(["images", "ls", "--json", "-c", join(folder, "mayfly.yaml")]);
    const { images } = JSON.parse(out) as { readonly images: readonly { readonly sha256: string }[] };
    notEqual(images[0]?.sha256, image);
  });
