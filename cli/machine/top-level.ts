/**
 * Runs a flow's top level where it can be watched. The build runs it with nothing but an engine around; a probe imports the module when a
 * message comes, inside a machine, with the clock and the generators under watch, and the image's source map says where each was touched,
 * and where it threw. Nothing is guessed from the text.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { buildImage, type Frame, projectFolder, StackMapper } from "#image";
import { embeddedMonitor } from "#monitors";
import { includedFolders } from "../images/project.ts";
import { driveMachine } from "#replay";
import { unanswered } from "./stubs.ts";

const probe = (flow: string): string => `
import { flow } from "mayfly";
export default flow(async (_msg, { log }) => {
  let count = 0;
  const note = (what) => { if (count++ < 20) log.info(what, { stack: new Error().stack }); };
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
});
`;

export interface TopLevel {
  /** Uses of time and randomness, each with where, innermost first. */
  readonly touched: readonly { readonly what: string; readonly frames: readonly Frame[] }[];
  /** Where it threw; empty when it did not. */
  readonly failedAt: readonly Frame[];
}

const nothing: TopLevel = { touched: [], failedAt: [] };

/** Uses of time and randomness at the top level of the flow at `path`; none when it can't be bundled. */
export async function probeTopLevel(path: string): Promise<TopLevel> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-probe-"));
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const file = join(folder, "probe.ts");
    await writeFile(file, probe(resolve(path)));
    const project = projectFolder(path) ?? dirname(resolve(path));
    const { image } = await buildImage(file, { check: false, include: [project, ...(await includedFolders(path))] });
    const stimulus = {
      id: "probe",
      source: "probe",
      attempt: 1,
      key: undefined,
      headers: {},
      body: new Uint8Array(0),
      state: undefined,
      seed: new Uint8Array(32),
      timeMs: Date.now(),
    };
    const { logs, failure } = await driveMachine(monitor, await monitor.load(image), {
      limits: image.manifest.limits,
      stimulus,
      stub: (call) => unanswered(call, "a top level can't make requests"),
    });
    const stacks = StackMapper.of(image, dirname(file));
    const framesOf = (stack: string | undefined): Frame[] => stacks.frames(stack).filter((frame) => !frame.file.endsWith("probe.ts"));
    const touched = logs.map(({ text, fieldsJson }) => ({
      what: text,
      frames: framesOf((JSON.parse(fieldsJson ?? "{}") as { stack?: string }).stack),
    }));
    return { touched, failedAt: framesOf(failure?.stack) };
  } catch {
    return nothing;
  } finally {
    await monitor.close();
    await rm(folder, { recursive: true, force: true });
  }
}
