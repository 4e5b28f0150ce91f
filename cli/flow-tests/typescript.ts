/** Runs a *.flow-test.ts: bundled beside itself so that its imports resolve, loaded into this process, its tests run in order. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Message } from "esbuild";
import type { CallEffect } from "#abi";
import { CodedError, fromUtf8 } from "#base";
import { parseJson, textIn } from "../format.ts";
import type { RunResult, Stub, StubAnswer } from "#replay";
import { byPrefix } from "../machine/stubs.ts";
import { collectTests, type RegisteredTest } from "./api.ts";
import type { TestBench } from "./bench.ts";
import type { AnswerSpec, BodySpec, GivenSpec, MessageSpec, SignalSpec } from "./case.ts";
import type { AnswerInput, AnswersInput, BodyInput, Content, Request, RunInput, RunOutcome, Send } from "./flow-test.d.ts";
import { delayOf, stimulusOf, stubOf } from "./given.ts";

const ownApi = pathToFileURL(fileURLToPath(new URL("./api.js", import.meta.url))).href;
const exploreApi = pathToFileURL(fileURLToPath(new URL("../exploration/api.js", import.meta.url))).href;

function describe({ text, location }: Message): string {
  return location === null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}

async function bundle(path: string, outfile: string): Promise<Uint8Array> {
  try {
    const { outputFiles } = await build({
      entryPoints: [path],
      absWorkingDir: process.cwd(),
      outfile,
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "node20",
      packages: "external",
      sourcemap: "inline",
      logLevel: "silent",
      alias: { "mayfly/test": ownApi, "mayfly/explore": exploreApi },
      external: ["file://*"],
    });
    return outputFiles[0]?.contents ?? new Uint8Array(0);
  } catch (cause) {
    const { errors } = cause as { errors?: Message[] };
    throw errors === undefined ? cause : new CodedError("MF_TEST_INVALID", errors.map(describe).join("\n"), { cause });
  }
}

/** The tests of a file. Throws MF_TEST_INVALID when it can't be loaded. */
export async function loadTypeScriptTests(path: string): Promise<readonly RegisteredTest[]> {
  return await collectTests(() => importTypeScript(path));
}

/** The module of a file of tests or of an exploration, absolute. Throws MF_TEST_INVALID when it can't be loaded. */
export async function importTypeScript(path: string): Promise<unknown> {
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.mjs`);
  await writeFile(beside, await bundle(path, beside));
  process.setSourceMapsEnabled(true);
  try {
    return (await import(pathToFileURL(beside).href)) as unknown;
  } catch (cause) {
    throw new CodedError("MF_TEST_INVALID", `${path}: ${(cause as Error).message}`, { cause });
  } finally {
    await rm(beside, { force: true });
  }
}

function specOf<Spec extends BodySpec>(input: BodyInput): Spec {
  const { bytes, ...rest } = input;
  return (bytes === undefined ? rest : { ...rest, base64: Buffer.from(bytes).toString("base64") }) as Spec;
}

function content(contentType: string, headers: unknown, bytes: Uint8Array): Content {
  return {
    contentType,
    headers: headers as Content["headers"],
    bytes,
    text: () => textIn(bytes, contentType) ?? fromUtf8(bytes),
    json: <T>() => JSON.parse(textIn(bytes, contentType) ?? fromUtf8(bytes)) as T,
  };
}

function requestOf(call: CallEffect): Request {
  return {
    ...content(call.contentType, parseJson(call.headersJson), call.body),
    operation: call.operation === "fetch" ? "fetch" : "request",
    target: call.target,
    method: call.method,
  };
}

function sendOf({ contentType, headers, body, outlet, key, transaction, dueMs, sentMs }: RunResult["sends"][number]): Send {
  const afterMs = dueMs === undefined ? 0 : Math.max(0, dueMs - sentMs);
  return { ...content(contentType, headers, body), outlet, key, transaction, afterMs };
}

function waitsOf({ waits, timers }: NonNullable<RunResult["waits"]>): NonNullable<RunOutcome["asleep"]> {
  return {
    waits: waits.map(({ name, key, dueMs, questionJson }) => {
      const until = dueMs === undefined ? undefined : new Date(dueMs);
      const asked = questionJson === undefined ? {} : (parseJson(questionJson) as { question?: string; options?: readonly string[] });
      return { name, key, until, question: asked.question, options: asked.options };
    }),
    timers: timers.map(({ dueMs }) => new Date(dueMs)),
  };
}

export function outcomeOf(result: RunResult): RunOutcome {
  const { reply, failure } = result;
  return {
    status: result.status,
    reply: reply === undefined ? undefined : { ...content(reply.contentType, reply.headers, reply.body), status: reply.status },
    sends: result.sends.map(sendOf),
    asleep: result.waits === undefined ? undefined : waitsOf(result.waits),
    transactions: result.transactions.length,
    continues: result.next === undefined ? undefined : content(result.next.contentType, result.next.headers, result.next.body),
    requests: result.calls.filter(({ operation }) => operation !== "state").map(requestOf),
    logs: result.logs.map(({ level, text, fieldsJson }) => ({
      level,
      text,
      fields: fieldsJson === undefined ? undefined : (parseJson(fieldsJson) as Record<string, unknown>),
    })),
    error:
      failure === undefined
        ? undefined
        : {
            code: failure.code,
            message: failure.message,
            retry: failure.retry,
            status: failure.status,
            stack: (failure.stack ?? "").split("\n"),
          },
    state: result.state,
  };
}

type Functions = Map<string, (request: Request) => AnswerInput>;

/** Splits answers that are functions from those that are data. */
function splitAnswers(given: Readonly<Record<string, AnswersInput>> | undefined): {
  readonly specs: NonNullable<GivenSpec["outlets"]>;
  readonly functions: Functions;
} {
  const specs: Record<string, AnswerSpec | readonly AnswerSpec[]> = {};
  const functions: Functions = new Map();
  for (const [name, answers] of Object.entries(given ?? {})) {
    if (typeof answers === "function") functions.set(name, answers);
    else
      specs[name] = Array.isArray(answers)
        ? (answers as readonly AnswerInput[]).map((each) => specOf<AnswerSpec>(each))
        : specOf<AnswerSpec>(answers as AnswerInput);
  }
  return { specs, functions };
}

/** A stub may not wait, so what a function answers must be at hand: json, text or bytes. */
function answerNow(answer: AnswerInput): StubAnswer {
  const delayMs = delayOf(answer.after);
  if (answer.error !== undefined)
    return { error: { code: answer.error.code, message: answer.error.message ?? "the test says so" }, delayMs };
  if (answer.file !== undefined)
    throw new CodedError("MF_TEST_INVALID", "a function can't answer with a file: read the file first and answer with text or bytes");
  const type =
    answer.contentType ??
    (answer.json !== undefined ? "application/json" : answer.text !== undefined ? "text/plain; charset=utf-8" : "application/octet-stream");
  const body = answer.bytes ?? Buffer.from(answer.json !== undefined ? JSON.stringify(answer.json) : (answer.text ?? ""));
  return { status: answer.status ?? 200, headers: { "content-type": type, ...answer.headers }, body, delayMs };
}

async function stubOfInput(input: RunInput, folder: string): Promise<Stub> {
  const outlets = splitAnswers(input.outlets);
  const fetches = splitAnswers(input.fetch);
  const data = await stubOf(
    { outlets: outlets.specs, fetch: fetches.specs, ...(input.states === undefined ? {} : { states: input.states }) },
    folder,
  );
  return (call) => {
    const answer =
      call.operation === "fetch"
        ? byPrefix(fetches.functions, call.target)
        : call.operation === "request"
          ? outlets.functions.get(call.target)
          : undefined;
    return answer === undefined ? data(call) : answerNow(answer(requestOf(call)));
  };
}

/** The `run` of a test in the file at `path`. */
export function runnerFor(bench: TestBench, path: string): (input?: RunInput, flow?: string) => Promise<RunOutcome> {
  const folder = dirname(path);
  const own = basename(path).replace(/\.flow-test\.[mc]?ts$/, ".ts");
  return async (input = {}, flow = own) => {
    const file = resolve(folder, flow);
    if (!existsSync(file))
      throw new CodedError("MF_FLOW_NOT_FOUND", `there is no flow at ${file}: give its path as the second argument of run`);
    const ready = await bench.flow(file);
    const { message, state, time, seed, signals } = input;
    const given: GivenSpec = {
      ...(message === undefined ? {} : { message: specOf<MessageSpec>(message) }),
      ...(state === undefined ? {} : { state }),
      ...(time === undefined ? {} : { time }),
      ...(seed === undefined ? {} : { seed }),
      ...(signals === undefined ? {} : { signals: signals.map((signal) => specOf<SignalSpec>(signal)) }),
    };
    return outcomeOf(await bench.run(ready, await stimulusOf(given, folder), await stubOfInput(input, folder)));
  };
}
