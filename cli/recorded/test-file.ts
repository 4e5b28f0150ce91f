/** A recorded message as a case of a flow test: written to a file, and run. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { isSeq, parseDocument } from "yaml";
import { CodedError, isCoded } from "#base";
import type { Image } from "#image";
import type { RecordedTest } from "#replay";
import { usageError } from "../failure.ts";
import { testFileShape } from "../flow-tests/runner.ts";
import { flowOf } from "../images/store.ts";
import { deployedFlow } from "../machine/deployed.ts";
import { findRecording, type RecordingFlags } from "./find.ts";
import { recordedImage } from "./image.ts";

export interface TestFileFlags extends RecordingFlags {
  readonly output?: string | undefined;
}

export interface WrittenTest extends RecordedTest {
  /** Name of the case. */
  readonly name: string;
}

/** The case's file joins what is there: its other cases stay, with their comments. */
async function joined(path: string, text: string, source: string): Promise<string> {
  const there = parseDocument(await readFile(path, "utf8"));
  const flow = there.get("flow") ?? path.slice(path.lastIndexOf("/") + 1).replace(/\.flow-test\.ya?ml$/, ".ts");
  const cases = there.get("cases");
  if (there.errors.length > 0 || !isSeq(cases) || typeof flow !== "string")
    throw new CodedError("MF_TEST_INVALID", `${path} is not a flow test: correct it, or choose another file with -o`);
  if (resolve(dirname(path), flow) !== source)
    throw usageError(`-o ${path}: its cases are for the flow ${flow}, and the message is not: choose another file`);
  const own = parseDocument(text);
  const added = own.getIn(["cases", 0], true) as { commentBefore?: string | null; spaceBefore?: boolean };
  if (own.commentBefore !== null && own.commentBefore !== undefined) added.commentBefore = own.commentBefore;
  added.spaceBefore = true;
  cases.add(added);
  return there.toString({ lineWidth: 120 });
}

/** Rejects as `findRecording` does, with MF_FLOW_NOT_FOUND where nobody knows the flow's source, and for a file it can't join. */
export async function writeRecordedTest(
  id: string,
  flags: TestFileFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<WrittenTest> {
  const { output } = flags;
  if (output !== undefined && !/\.ya?ml$/.test(output))
    throw usageError(`-o ${output}: flow tests from recordings are named NAME.flow-test.yaml`);
  if (output !== undefined && !testFileShape.test(output))
    throw usageError(`-o ${output}: \`mayfly test\` finds files named NAME.flow-test.yaml`);
  const { recording, error } = await findRecording(id, flags, env);
  const deployed = await deployedFlow(flags.config, recording.flow, env);
  const source = deployed.source ?? (await flowOf(dirname(resolve(flags.config)), recording.imageSha256));
  if (source === undefined || !existsSync(source))
    throw new CodedError(
      "MF_FLOW_NOT_FOUND",
      `the source of the flow ${recording.flow} is not known: name it under flows.${recording.flow}.flow in ${flags.config}`,
    );
  const file = output === undefined ? undefined : resolve(output);
  const test = await recordTest(
    { ...deployed, source },
    flags.config,
    relative(file === undefined ? process.cwd() : dirname(file), source),
    {
      recording,
      error,
    },
  );
  if (file !== undefined) await writeFile(file, existsSync(file) ? await joined(file, test.text, source) : test.text);
  return test;
}

async function recordTest(
  { rules, source }: Awaited<ReturnType<typeof deployedFlow>>,
  config: string,
  flow: string,
  { recording, error }: Awaited<ReturnType<typeof findRecording>>,
): Promise<WrittenTest> {
  const [{ recordedTest }, { openMonitor }] = await Promise.all([import("#replay"), import("../monitors.ts")]);
  const monitor = await openMonitor("embedded", { workers: 1, isolation: "flow" });
  try {
    const image = await recordedImage(recording.imageSha256, { config, name: recording.flow, source }).catch(
      (cause: unknown): Image | undefined => {
        if (isCoded(cause) && cause.code === "MF_REPLAY_IMAGE_GONE") return undefined;
        throw cause;
      },
    );
    const ran = image === undefined ? undefined : { monitor, image: await monitor.load(image) };
    const test = await recordedTest(recording, { flow, rules, error, ran });
    const name = parseDocument(test.text).getIn(["cases", 0, "name"]);
    return { ...test, name: typeof name === "string" ? name : "" };
  } finally {
    await monitor.close();
  }
}
