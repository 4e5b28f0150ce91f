/** An image that leaves its machines no memory is said to: at build, before it is served, and before it is run. */
import { equal, match, rejects } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve } from "#cli";
import { silentLogger } from "#gateway";

const flow = `import { flow } from "mayfly";
const table = new Uint8Array(70 * 2 ** 20).fill(7);
export default flow(() => table.length);`;

let folder: string;
const at = (name: string): string => join(folder, name);
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-room-"));
  await writeFile(at("large.ts"), flow);
});
after(() => rm(folder, { recursive: true, force: true }));

async function config(limits: string): Promise<string> {
  const text = `http: { port: 0 }\nflows:\n  large:\n    flow: large.ts\n    from: [ { http: { path: /large } } ]\n${limits}`;
  await writeFile(at("mayfly.yaml"), text);
  return at("mayfly.yaml");
}

const shortage = /a machine of large starts with 7\d(\.\d)? MiB, more than limits\.memory, 64 MiB: .*raise limits\.memory/;

test("serve refuses it, and takes it with a limit that is enough", async () => {
  const options = { port: 0, environment: {}, logger: silentLogger };
  await rejects(serve({ ...options, file: await config("") }), (error: Error & { code?: string }) => {
    equal(error.code, "MF_IMAGE_MEMORY");
    match(error.message, shortage);
    return true;
  });
  const serving = await serve({ ...options, file: await config("    limits: { memory: 128MiB }\n") });
  try {
    const response = await fetch(`${serving.url}/large`, { method: "POST" });
    equal(await response.text(), String(70 * 2 ** 20));
  } finally {
    await serving.stop();
  }
  await rejects(serve({ ...options, file: await config("    limits: { memory: 4MiB }\n") }), { code: "MF_IMAGE_MEMORY" });
});

test("build warns, and run refuses it", async () => {
  const built = await capture(["build", at("large.ts"), "-o", at("large.mfi")]);
  equal(built.code, 0);
  match(built.err, shortage);
  const run = await capture(["run", at("large.mfi")]);
  match(run.err, /MF_IMAGE_MEMORY/);
  equal(run.code === 0, false);
});
