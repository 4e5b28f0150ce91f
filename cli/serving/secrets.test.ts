/** A secret in a file is replaced, and the gateway goes on with the new one: no restart, no signal. */
import { equal } from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "../../gateway/logger.ts";
import { startServing } from "./serving.ts";

test("a new secret counts once its file has changed; one that can't be read leaves the old one", { timeout: 120_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-secret-files-"));
  try {
    const put = async (text: string): Promise<void> => {
      await writeFile(join(dir, "next"), text);
      await rename(join(dir, "next"), join(dir, "token"));
    };
    await put("one\n");
    await writeFile(join(dir, "a.ts"), 'import { flow } from "mayfly"; export default flow(() => "ok");');
    await writeFile(
      join(dir, "mayfly.yaml"),
      'http: { port: 0 }\nflows: { a: { flow: a.ts, from: [ { http: { path: /a, auth: { bearer: "${file:token}" } } } ] } }\n',
    );
    const serving = await startServing({ file: join(dir, "mayfly.yaml"), logger: silentLogger });
    try {
      const status = async (token: string): Promise<number> =>
        (await fetch(`${serving.url}/a`, { method: "POST", headers: { authorization: `Bearer ${token}` } })).status;
      equal(await status("one"), 200);
      await put("two\n");
      while ((await status("two")) !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
      equal(await status("one"), 401);
      await rm(join(dir, "token"));
      equal(await status("two"), 200);
    } finally {
      await serving.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
