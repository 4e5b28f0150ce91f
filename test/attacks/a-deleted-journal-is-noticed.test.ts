/** An acknowledged message is on disk: a gateway whose journal was deleted acknowledges nothing more, and says so. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

let folder: string;
let serving: Serving;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-deleted-"));
  await writeFile(join(folder, "f.ts"), 'import { flow } from "mayfly";\nexport default flow((msg) => msg.text());\n');
  const yaml = "flows: { f: { flow: f.ts, from: [ { http: { path: /f, mode: accept } } ] } }\n";
  await writeFile(join(folder, "mayfly.yaml"), `journal: { dir: journal }\ndrain: 500ms\n${yaml}`);
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
});

after(async () => {
  await serving?.stop();
  await rm(folder, { recursive: true, force: true });
});

const post = async (): Promise<number> => (await fetch(`${serving.url}/f`, { method: "POST", body: "x" })).status;

test("after the journal's folder was deleted, not one message is acknowledged, also when there is a new folder", async () => {
  deepEqual(await Promise.all([post(), post(), post()]), [202, 202, 202]);
  equal((await fetch(`${serving.url}/ready`)).status, 200);
  await rm(join(folder, "journal"), { recursive: true });
  deepEqual(await Promise.all([post(), post(), post()]), [503, 503, 503]);
  equal((await fetch(`${serving.url}/ready`)).status, 503);
  await mkdir(join(folder, "journal"));
  equal(await post(), 503);
  const { ready, problems } = serving.gateway.ready();
  equal(ready, false);
  match(JSON.stringify(problems), /"journal":"the journal was deleted while it was open/);
});
