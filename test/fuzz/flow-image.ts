/** Images of flows given as text, and the messages they are given. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeliverEvent } from "#abi";
import { buildImage, type Image } from "#image";

/** A message with this body, the same in every run. */
export function deliver(body: Uint8Array, contentType: string): DeliverEvent {
  return {
    kind: "deliver",
    timeMs: 1,
    seed: new Uint8Array(32),
    id: "m",
    source: "fuzz",
    attempt: 1,
    key: undefined,
    headersJson: JSON.stringify({ "content-type": contentType }),
    stateJson: undefined,
    body,
  };
}

/** `csv`, `flow` and `xml` are imported. */
export async function imageOf(code: string): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-fuzz-"));
  try {
    const file = join(folder, "flow.ts");
    await writeFile(file, `import { csv, flow, xml } from "mayfly";\n${code}\n`);
    return (await buildImage(file, { check: false })).image;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
