import { deepEqual } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { droppedPromisesOf } from "./promises.ts";

test("a project's promises must be awaited, or caught where that is enough", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-promises-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, "tsconfig.json");
  await writeFile(
    config,
    JSON.stringify({ compilerOptions: { strict: true, target: "ES2023", lib: ["ES2023"], types: [] }, files: ["a.ts"] }),
  );
  await writeFile(
    join(folder, "a.ts"),
    `declare function save(): Promise<number>;
export async function main(): Promise<void> {
  save();
  await save();
  void save();
  save().catch(() => 0);
  save().then(() => 1, () => 2).finally(() => 3);
  save().then(() => 4);
  save().finally(() => 5);
  [1].forEach(async () => void (await save()));
}
`,
  );
  const lines = async (mayCatch: boolean): Promise<number[]> => (await droppedPromisesOf(config, { mayCatch })).map(({ line }) => line);
  deepEqual(await lines(false), [3, 6, 7, 8, 9, 10]);
  deepEqual(await lines(true), [3, 8, 9, 10]);
});
