/** A message as a command line gives it: `-m FILE`, `-t TYPE`, `-H name=value`. */
import { dirname, resolve } from "node:path";
import { headerList, type HeadersDraft } from "#abi";
import { usageError } from "./failure.ts";
import { contentTypeOf, guessContentType } from "./format.ts";
import { readHeaders, readInputOf } from "./machine/stubs.ts";
import type { Terminal } from "./terminal.ts";

export interface MessageFlags {
  readonly config: string;
  readonly message?: string;
  readonly contentType?: string;
  readonly header?: readonly string[];
}

export interface GivenBody {
  readonly body: Uint8Array;
  readonly contentType: string;
}

/** Empty where none is given. */
export async function givenBody(terminal: Terminal, flags: MessageFlags): Promise<GivenBody> {
  const { message, contentType } = flags;
  if (message === undefined) return { body: new Uint8Array(0), contentType: contentType ?? "" };
  const body = message === "-" ? await terminal.readStdin() : await readInputOf(dirname(resolve(flags.config)), message, "message");
  return { body, contentType: contentType ?? (message === "-" ? guessContentType(body) : contentTypeOf(message)) };
}

/** `prefix`: of each header but the content type. */
export function givenHeaders(flags: MessageFlags, prefix: string, contentType: string): HeadersDraft {
  const headers: HeadersDraft = contentType === "" ? {} : { "content-type": contentType };
  for (const [name, value] of Object.entries(readHeaders(flags.header ?? []))) {
    if (headerList(value).some((each) => /[^\0-\xff]/.test(each)))
      throw usageError(
        `--header ${name}: HTTP can't carry characters beyond Latin-1: encode the value, for example with encodeURIComponent()`,
      );
    headers[prefix + name] = value;
  }
  return headers;
}
