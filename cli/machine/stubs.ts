/** Answers of outlets that are not there: from files, for `mayfly run`. */
import { readFile } from "node:fs/promises";
import { appendHeader, type CallEffect, type HeadersDraft, isHeaderText } from "#abi";
import { CodedError } from "#base";
import { contentTypeOf } from "../format.ts";
import { usageError } from "../failure.ts";
import { type Stub, type StubAnswer, stateAnswer } from "#replay";

export async function readInput(path: string, what: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : (cause as Error).message;
    throw new CodedError("MF_FILE_UNREADABLE", `the ${what} ${path} can't be read: ${why}`, { cause });
  }
}

/** As readInput, for a file that the project of `folder` lets commands read. Throws MF_FILE_OUTSIDE for others. */
export async function readInputOf(folder: string, path: string, what: string): Promise<Uint8Array> {
  const { checkReadable } = await import("../images/project.ts");
  await checkReadable(path, folder, what);
  return readInput(path, what);
}

const headerName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** The headers of `--header name=value`, once for each value. A header that no source could bring is refused, so that a run here is like one there. */
export function readHeaders(given: readonly string[]): HeadersDraft {
  const headers: HeadersDraft = {};
  for (const text of given) {
    const at = text.indexOf("=");
    const name = text.slice(0, Math.max(at, 0)).trim().toLowerCase();
    if (!headerName.test(name) || name === "__proto__") throw usageError(`--header ${text}: give it as --header name=value`);
    const value = text.slice(at + 1);
    if (!isHeaderText(value))
      throw usageError(`--header ${name}: a header can't have line breaks: encode the value, for example with encodeURIComponent()`);
    appendHeader(headers, name, value);
  }
  return headers;
}

/** `NAME=FILE` → the file's answer. */
async function fileAnswers(given: readonly string[], flag: string, folder: string): Promise<Map<string, StubAnswer>> {
  const answers = new Map<string, StubAnswer>();
  for (const text of given) {
    // A URL may hold "=", and a file's name hardly does: the last one counts for --fetch, the first for names.
    const at = flag === "--fetch" ? text.lastIndexOf("=") : text.indexOf("=");
    if (at <= 0 || at === text.length - 1)
      throw usageError(`${flag} ${text}: give it as ${flag} ${flag === "--fetch" ? "URL" : "NAME"}=FILE`);
    const file = text.slice(at + 1);
    const body = await readInputOf(folder, file, "answer");
    answers.set(text.slice(0, at), { status: 200, headers: { "content-type": contentTypeOf(file) }, body, delayMs: 0 });
  }
  return answers;
}

export function unanswered(call: CallEffect, how: string): StubAnswer {
  const what = call.operation === "fetch" ? `fetched ${call.target}` : `asked the outlet ${JSON.stringify(call.target)}`;
  const code = call.operation === "fetch" ? "MF_FETCH_UNANSWERED" : "MF_OUTLET_UNANSWERED";
  return { error: { code, message: `the flow ${what}, and no answer is defined: ${how}` }, delayMs: 0 };
}

/** The answer for the longest URL that `url` begins with. */
export function byPrefix<T>(answers: ReadonlyMap<string, T>, url: string): T | undefined {
  let best: string | undefined;
  for (const prefix of answers.keys()) if (url.startsWith(prefix) && prefix.length > (best?.length ?? -1)) best = prefix;
  return best === undefined ? undefined : answers.get(best);
}

export interface FileStubs {
  /** `NAME=FILE` each. */
  readonly outlets: readonly string[];
  /** `URL=FILE` each. */
  readonly fetches: readonly string[];
  /** Outlets the flow declares; null: any. */
  readonly declared: readonly string[] | null;
  /** A folder of the project whose files may be read. */
  readonly folder: string;
}

export async function stubFromFiles({ outlets, fetches, declared, folder }: FileStubs): Promise<Stub> {
  const answers = await fileAnswers(outlets, "--outlet", folder);
  const byUrl = await fileAnswers(fetches, "--fetch", folder);
  for (const name of answers.keys()) {
    if (declared !== null && !declared.includes(name))
      throw usageError(`--outlet ${name}: unknown outlet; the flow has ${declared.length === 0 ? "none" : declared.join(", ")}`);
  }
  return (call) => {
    if (call.operation === "state") return stateAnswer(undefined);
    if (call.operation === "fetch")
      return (
        byPrefix(byUrl, call.target) ??
        unanswered(call, `add --fetch ${call.target.replace(/[?#].*$/, "").slice(0, 200)}=FILE to answer with the file's content`)
      );
    return answers.get(call.target) ?? unanswered(call, `add --outlet ${call.target}=FILE to answer with the file's content`);
  };
}
