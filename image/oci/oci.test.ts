/** References, artefacts and layouts, and what damaged ones are answered with. Registries: test/registry.test.ts. */
import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { isCoded } from "#base";
import { buildImage } from "../build.ts";
import type { Image } from "../file.ts";
import { artefactOf, checkBlob, descriptorOf, imageLayer, imageOf, parseManifest } from "./artefact.ts";
import { readArtefact, readLayout, writeLayout } from "./layout.ts";
import { parseReference, referenceText } from "./reference.ts";
import { signingKey, trustedKey } from "./signature.ts";

let folder: string;
let image: Image;
const at = (...names: string[]): string => join(folder, ...names);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-oci-"));
  await writeFile(at("echo.ts"), 'import { flow } from "mayfly";\nexport default flow((msg) => msg.text());\n');
  ({ image } = await buildImage(at("echo.ts"), { check: false }));
});
after(() => rm(folder, { recursive: true, force: true }));

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

test("references are read as the distribution specification writes them", () => {
  for (const [text, expected] of [
    ["registry.example/a", { host: "registry.example", repository: "a", tag: "latest", digest: undefined }],
    ["localhost:5000/shop/orders:1.4", { host: "localhost:5000", repository: "shop/orders", tag: "1.4", digest: undefined }],
    ["localhost/a_b__c-d.e", { host: "localhost", repository: "a_b__c-d.e", tag: "latest", digest: undefined }],
    [`[::1]:5000/a@${digest}`, { host: "[::1]:5000", repository: "a", tag: undefined, digest }],
    [`r.example:443/a/b:t@${digest}`, { host: "r.example:443", repository: "a/b", tag: "t", digest }],
  ] as const) {
    const reference = parseReference(text);
    deepEqual(reference, expected);
    deepEqual(parseReference(referenceText(reference)), reference);
  }
});

test("what is no reference is told so", () => {
  for (const text of [
    ...["", "orders", "shop/orders:1", "r.example/", "r.example/A", "r.example/a//b", "r.example/a:", "r.example/a:-x", "r.example/../a"],
    ...[`r.example/a@sha256:${"A".repeat(64)}`, "r.example/a@sha256:ab", `r.example/a@md5:${"a".repeat(32)}`, "r.example:99x/a"],
    ...["-r.example/a", "r.example/a?x=1", "r.example/a b", `r.example/${"a".repeat(256)}`, "user@r.example/a", "https://r.example/a"],
  ])
    throws(() => parseReference(text), { code: "MF_OCI_REFERENCE" }, text);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      try {
        const { host, repository } = parseReference(text);
        ok(URL.canParse(`https://${host}/v2/${repository}/`));
      } catch (error) {
        ok(isCoded(error), String(error));
      }
    }),
  );
});

test("a layout is the same bytes each time, keeps other flows, and gives the image back", async () => {
  const artefact = artefactOf(image);
  const other = artefactOf({ ...image, manifest: { ...image.manifest, name: "another" } });
  await writeLayout(at("one"), [artefact]);
  await writeLayout(at("one"), [other]);
  await writeLayout(at("two"), [other, artefact]);
  const files = async (name: string): Promise<Record<string, string>> => {
    const found = await readdir(at(name), { recursive: true, withFileTypes: true });
    const entries = found.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
    return Object.fromEntries(
      await Promise.all(entries.sort().map(async (path) => [path.slice(at(name).length), await readFile(path, "hex")])),
    );
  };
  deepEqual(await files("one"), await files("two"));
  const laidOut = await readLayout(at("one"));
  deepEqual(
    laidOut.map(({ flow }) => flow),
    ["another", "echo"],
  );
  const back = await readArtefact(at("one"), laidOut[1] as (typeof laidOut)[number]);
  equal(back.manifest.digest, artefact.manifest.digest);
  const layer = imageLayer(parseManifest(back.manifest.bytes));
  equal(imageOf(layer, back.blobs.find((blob) => blob.digest === layer.digest)?.bytes as Uint8Array).sha256, image.sha256);
  notEqual(artefact.manifest.digest, other.manifest.digest);
});

test("a damaged layout is told so, blob by blob", async () => {
  await writeLayout(at("damaged"), [artefactOf(image)]);
  const [first] = await readLayout(at("damaged"));
  ok(first !== undefined);
  for (const name of await readdir(at("damaged", "blobs", "sha256"))) {
    const path = at("damaged", "blobs", "sha256", name);
    const whole = await readFile(path);
    const changed = Buffer.from(whole);
    changed[changed.length >> 1] = (changed[changed.length >> 1] as number) ^ 1;
    for (const bytes of [changed, whole.subarray(0, -1), Buffer.concat([whole, whole])]) {
      await writeFile(path, bytes);
      await rejects(readArtefact(at("damaged"), first), { code: "MF_ARTEFACT_INVALID" }, name);
    }
    await rm(path);
    await rejects(readArtefact(at("damaged"), first), { code: "MF_OCI_LAYOUT" });
    await writeFile(path, whole);
  }
  equal((await readArtefact(at("damaged"), first)).flow, "echo");
  for (const index of [
    "",
    "[]",
    "{}",
    '{"manifests":{}}',
    '{"manifests":[{}]}',
    `{"manifests":[{"mediaType":"x","digest":"${digest}","size":1}]}`,
  ]) {
    await writeFile(at("damaged", "index.json"), index);
    await rejects(readLayout(at("damaged")), { code: "MF_OCI_LAYOUT" }, index);
  }
  await rejects(readLayout(at("nowhere")), { code: "MF_OCI_LAYOUT" });
});

test("whatever a registry says is a manifest, or an error with a code", () => {
  const parse = (text: string): unknown => {
    try {
      return imageLayer(parseManifest(Buffer.from(text)));
    } catch (error) {
      ok(isCoded(error) && error.code === "MF_ARTEFACT_INVALID", String(error));
      return undefined;
    }
  };
  const good = JSON.parse(Buffer.from(artefactOf(image).manifest.bytes).toString()) as { layers: object[]; [name: string]: unknown };
  ok(parse(JSON.stringify(good)) !== undefined);
  for (const bad of [
    { ...good, layers: [] },
    { ...good, layers: [...good.layers, ...good.layers] },
    { ...good, layers: [{ ...good.layers[0], mediaType: "application/vnd.oci.image.layer.v1.tar" }] },
    { ...good, mediaType: "application/vnd.oci.image.index.v1+json" },
  ])
    equal(parse(JSON.stringify(bad)), undefined);
  fc.assert(fc.property(fc.json(), (text) => void parse(text)));
  fc.assert(fc.property(fc.jsonValue(), (value) => void parse(JSON.stringify({ ...good, layers: value }))));
  fc.assert(fc.property(fc.jsonValue(), (value) => void descriptorOf({ ...good.layers[0], annotations: value, size: value })));
  throws(() => checkBlob({ digest, size: 2 }, Buffer.from("{}")), { code: "MF_ARTEFACT_INVALID" });
});

test("a key that can't be used says why", () => {
  throws(() => trustedKey("a.pub", "no key"), { code: "MF_IMAGE_KEY", message: /a\.pub .*no public key/ });
  throws(() => trustedKey("a.key", "-----BEGIN PRIVATE KEY-----"), { code: "MF_IMAGE_KEY", message: /private one/ });
  throws(() => signingKey("a.key", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----", undefined), {
    code: "MF_IMAGE_KEY",
    message: /cosign sign/,
  });
  throws(() => signingKey("a.key", "no key", undefined), { code: "MF_IMAGE_KEY" });
});
