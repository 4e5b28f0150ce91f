/**
 * Several flows in one image, for a service without a gateway: each message says in the header `mayfly-flow` which of them it is for. What one flow
 * leaves at its top level the others can see, as modules of one program can; messages still have a machine each.
 */
import { dirname, relative, resolve, sep } from "node:path";
import type { FlowLimits } from "#abi";
import { type Built, imageOfBundle, packageVersion } from "./build.ts";
import { bundleEntry } from "./bundle.ts";
import { projectFolder } from "./readable.ts";

export interface FlowFile {
  /** Its name in mayfly.yaml. */
  readonly name: string;
  /** Its source. */
  readonly path: string;
  readonly limits: FlowLimits;
  /** It has a function `warm`. */
  readonly isWarm: boolean;
}

/** The machine's own bounds are the widest of all: who runs it knows which flow's count. */
function widest(flows: readonly FlowFile[]): object {
  const most = (limit: keyof FlowLimits): number => Math.max(...flows.map(({ limits }) => limits[limit]));
  return { memory: most("memoryBytes"), cpu: most("cpuMs"), time: most("timeMs"), sends: most("sends"), logBytes: most("logBytes") };
}

/** Runs the function `warm` of each flow that has one; samples are for its own handler. */
const warmAll = `async ({ handle }) => {
  for (const [name, { options }] of Object.entries(flows))
    await options.warm?.({ handle: (sample) => handle({ ...sample, headers: { ...sample?.headers, "mayfly-flow": name } }) });
}`;

function entryOf(flows: readonly FlowFile[], folder: string): string {
  const pathOf = (path: string): string => JSON.stringify(`./${relative(folder, resolve(path)).split(sep).join("/")}`);
  const warm = flows.some(({ isWarm }) => isWarm) ? `, warm: ${warmAll}` : "";
  return [
    'import { flow } from "mayfly";',
    ...flows.map(({ path }, index) => `import flow${index} from ${pathOf(path)};`),
    `const flows = { ${flows.map(({ name }, index) => `${JSON.stringify(name)}: flow${index}`).join(", ")} };`,
    `globalThis.__flow = flow({ limits: ${JSON.stringify(widest(flows))}${warm} }, (message, context) => flows[message.headers["mayfly-flow"]].handler(message, context));`,
  ].join("\n");
}

/**
 * Builds the image of flows that were built one by one before, so that each is known to be a flow. `folder`: of their mayfly.yaml; `include`: folders
 * that they may read besides. Equal input, equal bytes. Throws as `buildImage` does.
 */
export async function buildSeveral(name: string, flows: readonly FlowFile[], folder: string, include: readonly string[]): Promise<Built> {
  const started = performance.now();
  const projects = flows.map(({ path }) => projectFolder(path) ?? dirname(resolve(path)));
  const bundle = await bundleEntry(entryOf(flows, resolve(folder)), resolve(folder), [...projects, ...include]);
  const bundleMs = performance.now() - started;
  const { image, bootMs, freezeMs, warm } = imageOfBundle(bundle, "", name, packageVersion(resolve(folder)));
  return { image, bundle, inputs: bundle.inputs, timings: { bundleMs, checkMs: 0, bootMs, freezeMs }, warm };
}
