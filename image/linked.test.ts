/** Parts of the kernel in a flow's bundle, as `mayfly build` makes it from the compiled runtime. */
import { deepEqual, ok, rejects } from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { kernelArtifacts } from "#kernel";
import { buildImage } from "./build.ts";
import { bundleFlow } from "./bundle.ts";
import { linkedKernelOf } from "./kernel.ts";

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

test("locales are linked by the list in a flow's options; what is not there, or was not found, fails the build", async () => {
  const flowOf = (options: string): string => `import { flow } from "mayfly";
const tags = ["nl"];
export default flow(${options}, (msg) => msg.json().toLocaleString("nl"));`;
  const localesOf = async (options: string): Promise<string[]> =>
    (await linked(flowOf(options))).flatMap((name) => /^mayfly:intl\/locales\/(.*)/.exec(name)?.[1] ?? []).sort();
  deepEqual(await localesOf('{ locales: ["nl", "fr-BE", "de-DE", "en"] }'), ["de", "fr", "fr-BE", "nl"]);
  deepEqual(await localesOf('{ limits: { cpu: "1s" }, locales: [\n  "ja",\n] }'), ["ja"]);
  deepEqual(await localesOf('{ limits: { cpu: "1s" } }'), []);
  const built = async (options: string): Promise<unknown> => {
    await linked(flowOf(options));
    return await buildImage(join(folder, "flow.ts"), { check: false });
  };
  await built('{ locales: ["nl", "de-DE", "en", "en-US", "en-GB"] }');
  for (const [options, message] of [
    ['{ locales: ["xx"] }', /has no "xx": there are da, /],
    ["{ locales: tags }", /did not find nl: write the list as texts/],
    ['{ locales: "nl" }', /must be a list of texts/],
  ] as const)
    await rejects(built(options), { code: "MF_FLOW_INVALID", message });
});

test("keys are linked by the algorithms that a flow names beside crypto.subtle, and an executable without any has no natives of keys", async () => {
  const flowOf = (name: string): string =>
    `import { flow } from "mayfly"; export default flow(async (msg) => { await crypto.subtle.generateKey({ name: "${name}" }, true, []); });`;
  for (const [name, part] of [
    ["AES-KW", "aes"],
    ["HKDF", "derive"],
    ["rsa-oaep", "rsa"],
    ["ECDH", "ec"],
    ["Ed25519", "okp"],
  ] as const)
    deepEqual(
      (await linked(flowOf(name))).filter((source) => /keys\/(aes|derive|rsa|ec|okp)$/.test(source)),
      [`mayfly:web/keys/${part}`],
    );
  deepEqual(await linked('import { flow } from "mayfly"; export default flow(() => "AES-GCM, ECDSA");'), ["mayfly:flow"]);
  const kernelOf = async (source: string): Promise<Uint8Array> => {
    writeFileSync(join(folder, "flow.ts"), source);
    return linkedKernelOf((await buildImage(join(folder, "flow.ts"), { check: false })).image).native;
  };
  const [without, whole] = [await kernelOf(flowOf("HMAC")), await kernelOf(flowOf("ECDSA"))];
  deepEqual(whole, kernelArtifacts().native);
  ok(without.length < whole.length - 20_000, `${without.length} of ${whole.length} bytes`);
  new WebAssembly.Module(without as Uint8Array<ArrayBuffer>);
  const flows = ['new CompressionStream("gzip")', "structuredClone(7)", "msg.xml()", "msg.csv()", "[...msg.rows()]", 'msg.elements("a")'];
  for (const each of flows) {
    const native = await kernelOf(`import { flow } from "mayfly"; export default flow((msg) => ${each});`);
    ok(native.length > without.length && native.length < whole.length - 20_000, `${each}: ${native.length} bytes`);
  }
});

test("an image has nothing left of the large texts that only its flow's top level used", async () => {
  const path = join(folder, "flow.ts");
  const only = "\u{6771}\u{4eac}\u{7279}\u{8a31}\u{8a31}\u{53ef}\u{5c40}".repeat(200); // small ones share a block with others
  writeFileSync(
    path,
    `import { flow } from "mayfly";
const only = "${only}";
const kept = "\u{751f}\u{9ea6}\u{751f}\u{7c73}\u{751f}\u{5375}!".repeat(only.length / 1400);
export default flow(() => kept);`,
  );
  const { image } = await buildImage(path, { check: false });
  const has = (text: string): boolean => Buffer.from(image.pages).includes(Buffer.from(text, "utf16le"));
  deepEqual([has("\u{751f}\u{9ea6}\u{751f}\u{7c73}\u{751f}\u{5375}!"), has(only.slice(0, 20))], [true, false]);
});
