/** Shared by the tests of this folder: QEMU, or the reason why it is missing; images; drivers built for tests. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Image } from "#image";
import { machineMap } from "#kernel";
import { findProgram } from "../command.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** Undefined when QEMU is there; otherwise why the tests are skipped. `npm test` installs it where it can. */
export function qemuMissing(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "virtual machines are tested on x86-64 Linux";
  return findProgram("qemu-system-x86_64") === undefined
    ? "qemu-system-x86_64 is not installed: `apt-get install qemu-system-x86`"
    : undefined;
}

/** Builds an image of a flow given as text. */
export async function imageOf(source: string, name = "flow"): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-qemu-test-"));
  try {
    const file = join(folder, `${name}.ts`);
    await writeFile(file, source);
    return (await buildImage(file, { check: false })).image;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The flow of the README's orders, as examples/orders has it. */
export async function ordersImage(): Promise<Image> {
  return (await buildImage(join(root, "examples", "orders", "flows", "orders.ts"), { check: false })).image;
}

interface Builder {
  buildDrivers(root: string, memoryBase: number, entry: string): Promise<Uint8Array>;
}

/** Compiles drivers of kernel/drivers/testing. */
export async function buildTestDrivers(entry: string): Promise<Uint8Array> {
  const builder = (await import(new URL("../../../../scripts/build-kernel.mjs", import.meta.url).href)) as Builder;
  return builder.buildDrivers(root, machineMap.driversAt, join("testing", entry));
}
