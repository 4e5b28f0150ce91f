/** Images and kernels that a gateway keeps in the store. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connectors } from "#connectors";
import { loadConfig, silentLogger } from "#gateway";
import { kernelArtifacts, kernelFileName } from "#kernel";
import { embeddedMonitor } from "#monitors";
import { pinnedImages } from "../images/pins.ts";
import { storeFolder } from "../images/store.ts";
import { Images } from "./images.ts";

test("an image is pinned by the next load, where the kernel could not be kept at first", async (t) => {
  const base = await mkdtemp(join(tmpdir(), "mayfly-kept-"));
  const monitor = embeddedMonitor({ workers: 1 });
  const socket = createServer();
  t.after(async () => {
    socket.close();
    await monitor.close();
    await rm(base, { recursive: true, force: true });
  });
  await writeFile(join(base, "f.ts"), 'import { flow } from "mayfly"; export default flow((msg) => msg.text());');
  await writeFile(join(base, "mayfly.yaml"), "flows: { f: { flow: f.ts, from: [ { http: { path: /f } } ] } }");
  const store = storeFolder(base);
  await mkdir(store, { recursive: true });
  await new Promise<void>((done) => socket.listen(join(base, "s"), done));
  const kernel = join(store, kernelFileName(kernelArtifacts().hash));
  await symlink(join(base, "s"), kernel); // there, and can't be opened
  const images = new Images({ base, journal: undefined }, monitor, silentLogger);
  await images.open();
  const flow = (await loadConfig(join(base, "mayfly.yaml"), connectors)).flows["f"];
  ok(flow !== undefined);
  const { image } = await images.load("f", flow);
  equal((await pinnedImages(store)).size, 0);
  await unlink(kernel);
  await images.load("f", flow);
  deepEqual([...(await pinnedImages(store))], [(image as { readonly sha256: string }).sha256]);
});
