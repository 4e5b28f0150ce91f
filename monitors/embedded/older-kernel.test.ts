/** Images that were booted with the kernel of an older version, beside those of this one. */
import { equal, notEqual, rejects } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { buildImage, type Image } from "#image";
import { kernelArtifacts } from "#kernel";
import { deliver, replyText } from "../monitor.case.ts";
import type { Monitor } from "../monitor.ts";
import { embeddedMonitor } from "./embedded.ts";

let own: Image;
/** The same kernel under another hash: what runs is what an older version's image would run. */
let older: Image;
let monitor: Monitor;

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-older-"));
  const file = join(folder, "echo.ts");
  await writeFile(file, 'import { flow } from "mayfly"; export default flow((msg) => msg.text());');
  own = (await buildImage(file, { check: false })).image;
  await rm(folder, { recursive: true });
  const kernel = { ...kernelArtifacts(), hash: "0".repeat(64) };
  older = { ...own, kernel, manifest: { ...own.manifest, kernel: kernel.hash } };
  monitor = embeddedMonitor({ workers: 1 });
});
after(() => monitor.close());

test("an image that two load at once is one, and stays until both have let it go", async () => {
  const [first, second] = await Promise.all([monitor.load(older), monitor.load(older)]);
  equal(first, second);
  monitor.unload(first);
  equal(await monitor.load(older), second, "the other one still has it");
  const machine = monitor.start(second, deliver({ body: "hello" }));
  equal(replyText(await machine.first), "hello");
  machine.end();
  monitor.unload(second);
  monitor.unload(second);
  notEqual(await monitor.load(older), second, "nobody had it any more");
});

test("an image of another interface is refused, whatever its kernel", async () => {
  const image = { ...own, sha256: "1".repeat(64), manifest: { ...own.manifest, abi: own.manifest.abi + 1 } };
  await rejects(monitor.load(image), { code: "MF_IMAGE_VERSION" });
});
