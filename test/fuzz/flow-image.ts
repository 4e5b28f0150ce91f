/** An image of a flow given as text, with `flow` imported. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage, type Image } from "#image";

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
