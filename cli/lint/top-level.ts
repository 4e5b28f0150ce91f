/**
 * Finds uses of time and randomness at a flow's top level. What is drawn there is frozen into the image and the same in every machine:
 * an "id" made so is no id at all. Nothing is guessed from the text: a probe runs the module's top level inside a machine, with the
 * clock and the generators under watch, and the image's source map says where each was touched.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { buildImage } from "#image";
import type { Monitor } from "#monitors";
import { driveMachine } from "../machine/drive.ts";
import { StackMapper } from "../machine/stack.ts";
import { unanswered } from "../machine/stubs.ts";
import type { LintFinding } from "./finding.ts";

/** Imported when the message comes, the flow's module runs its top level then, and what it touches can be seen. */
const probe = (flow: string): string => `
import { flow } from "mayfly";
export default flow(async () => {
  const touched = [];
  const note = (what) => { if (touched.length < 20) touched.push({ what, stack: new Error().stack }); };
  const watch = (holder, name, what) => {
    const real = holder?.[name];
    if (typeof real === "function") holder[name] = function (...values) { note(what); return real.apply(this, values); };
  };
  watch(Math, "random", "Math.random()");
  watch(Date, "now", "Date.now()");
  watch(globalThis.performance, "now", "performance.now()");
  watch(globalThis.crypto, "getRandomValues", "crypto.getRandomValues()");
  watch(globalThis.crypto, "randomUUID", "crypto.randomUUID()");
  const RealDate = Date;
  globalThis.Date = new Proxy(RealDate, {
    construct(target, values, self) { if (values.length === 0) note("new Date()"); return Reflect.construct(target, values, self); },
    apply(target, self, values) { note("Date()"); return Reflect.apply(target, self, values); },
  });
  await import(${JSON.stringify(flow)});
  return touched;
});
`;

interface Touch {
  readonly what: string;
  readonly stack: string;
}

/** The findings in one flow; none when it does not get as far as running. */
export async function topLevelFindings(monitor: Monitor, flow: string, shown: string): Promise<LintFinding[]> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-lint-"));
  try {
    const file = join(folder, "probe.ts");
    await writeFile(file, probe(resolve(flow)));
    const { image } = await buildImage(file, { check: false });
    const stimulus = {
      id: "lint",
      source: "lint",
      attempt: 1,
      key: undefined,
      headers: {},
      body: new Uint8Array(0),
      state: undefined,
      seed: randomBytes(32),
      timeMs: Date.now(),
    };
    const result = await driveMachine(monitor, await monitor.load(image), image.manifest.limits, stimulus, (call) =>
      unanswered(call, "a top level must not ask"),
    );
    if (result.reply === undefined) return [];
    const touched = JSON.parse(Buffer.from(result.reply.body).toString("utf8")) as Touch[];
    const stacks = new StackMapper(image.sourceMap, dirname(file));
    const findings = touched.map(({ what, stack }): LintFinding => {
      const place = stacks.frames(stack).find((frame) => !frame.file.endsWith("probe.ts"));
      const message = `${what} at the top level is drawn once, when the image is built, and the same in every machine: move it into the handler`;
      return {
        file: place?.file ?? shown,
        line: place?.line ?? 0,
        column: place?.column ?? 0,
        level: "error",
        code: "MF_TOP_LEVEL",
        message,
      };
    });
    return findings.filter((each, index) => findings.findIndex((other) => isDeepStrictEqual(other, each)) === index); // loops touch a place often
  } catch {
    return []; // what does not build or run is found by the build itself
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
