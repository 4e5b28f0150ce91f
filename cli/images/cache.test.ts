import { deepEqual, equal, notEqual, rejects } from "node:assert/strict";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve } from "#cli";
import { silentLogger } from "#gateway";
import { loadImage } from "#image";
import { cachedImage } from "./cache.ts";
import { flowOf, namedImage, pruneImages, storeFolder } from "./store.ts";

let project: string;
const at = (...names: string[]): string => join(project, ...names);
const version = (n: number): string => `import { flow } from "mayfly";\nexport default flow(() => "version ${n}");\n`;

before(async () => {
  project = await mkdtemp(join(tmpdir(), "mayfly-cache-"));
  await writeFile(at("mayfly.yaml"), "flows: {}\n");
});
after(() => rm(project, { recursive: true, force: true }));

async function built(n: number): Promise<string> {
  await writeFile(at("flow.ts"), version(n));
  return (await cachedImage(at("flow.ts"))).image.sha256;
}

test("an image outlives the next build of its flow: found by its hash, and served again", async () => {
  const [one, two] = [await built(1), await built(2)];
  notEqual(one, two);
  equal((await cachedImage(at("flow.ts"))).buildMs, undefined, "nothing has changed: nothing is built");
  for (const sha256 of [one, two]) {
    equal((await loadImage(await namedImage(project, sha256))).sha256, sha256);
    equal(await flowOf(project, sha256), at("flow.ts"));
  }
  equal(await flowOf(project, "0".repeat(64)), undefined);

  await writeFile(
    at("mayfly.yaml"),
    `flows:
  yesterday: { image: "sha256:${one.slice(0, 12)}", from: [{ http: { method: GET, path: /yesterday } }] }
  today: { flow: flow.ts, from: [{ http: { method: GET, path: /today } }] }
http: { port: 0 }
journal: { memory: true }
`,
  );
  const serving = await serve({ file: at("mayfly.yaml"), logger: silentLogger });
  try {
    equal(await (await fetch(`${serving.url}/yesterday`)).text(), "version 1");
    equal(await (await fetch(`${serving.url}/today`)).text(), "version 2");
  } finally {
    await serving.stop();
  }
});

test("a hash that names no image, or several, says so", async () => {
  const missing = { code: "MF_IMAGE_NOT_FOUND", message: /matches no image in .*images/ };
  await rejects(namedImage(project, "0".repeat(12)), missing);
  await rejects(namedImage(project, ""), missing);
  await rejects(namedImage(project, "../../../etc"), missing);
  for (const digit of ["a", "b"]) await writeFile(join(storeFolder(project), `${"c".repeat(63)}${digit}.mfi`), "");
  await rejects(namedImage(project, "c".repeat(8)), /several images/);
});

test("images that nothing uses are kept up to a bound, the most recently used ones; those in use stay", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-store-"));
  try {
    const name = (n: number): string => n.toString(16).padStart(64, "0");
    for (let n = 0; n < 100; n++) {
      await writeFile(join(folder, `${name(n)}.mfi`), "image");
      await writeFile(join(folder, `${name(n)}.json`), "{}");
      await utimes(join(folder, `${name(n)}.mfi`), 1_000 + n, 1_000 + n);
    }
    await pruneImages(folder, new Set([name(0), name(1)]));
    const left = (await readdir(folder)).filter((each) => each.endsWith(".mfi")).sort();
    deepEqual(
      left,
      [0, 1, ...Array.from({ length: 64 }, (_, index) => 36 + index)].map((n) => `${name(n)}.mfi`),
    );
    equal((await readdir(folder)).length, 2 * left.length);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
