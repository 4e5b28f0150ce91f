/** Parts of the kernel in a flow's bundle, as `mayfly build` makes it from the compiled runtime. */
import { deepEqual, ok } from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bundleFlow } from "./bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "mayfly-linked-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "package.json"), "{}");

async function linked(source: string): Promise<string[]> {
  const path = join(folder, "flow.ts");
  writeFileSync(path, source);
  const { sources } = await bundleFlow(path);
  return sources.map(({ path: name }) => name).filter((name) => name.startsWith("mayfly:"));
}

test("a flow that uses nothing of the kernel has nothing of it but `flow`", async () => {
  deepEqual(await linked('import { flow } from "mayfly"; export default flow((msg) => msg.json());'), ["mayfly:flow"]);
});

test("what a flow imports from mayfly is linked, and no other format", async () => {
  const names = await linked('import { flow, xml, fail } from "mayfly"; export default flow(() => xml.stringify({}) ?? fail("x"));');
  ok(names.includes("mayfly:formats/xml") && !names.some((name) => /csv|zone/.test(name)), names.join());
  const zones = await linked('import { flow, zone } from "mayfly"; export default flow(() => zone("UTC").name);');
  ok(zones.includes("mayfly:intl/zone") && !zones.some((name) => /csv|xml/.test(name)), zones.join());
});
