/**
 * Builds of strangers' code, in a process of their own: a text can keep a bundler or a compiler busy for minutes, and must not keep this
 * program. One build at a time; one that takes too long is killed with everything it started. The process ends when it idles, and does not
 * keep the program from its end.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CodedError, Queue } from "#base";
import { embedLimits } from "./limits.ts";

/** Code to build: a flow, or a function with the names of those that it may call. */
export type BuildRequest =
  | { readonly kind: "flow"; readonly code: string; readonly name: string; readonly check: boolean }
  | { readonly kind: "sandbox"; readonly code: string; readonly names: readonly string[] };

/** The image's file, or the reason of the failure. */
export type BuildAnswer =
  | { readonly bytes: Uint8Array }
  /** Without a code the process itself is broken: its bundler has crashed. */
  | { readonly error: { readonly code: string | undefined; readonly message: string } };

interface Waiting {
  readonly request: BuildRequest;
  readonly settle: (answer: BuildAnswer) => void;
}

const program = fileURLToPath(new URL("./builder-process.js", import.meta.url));

function tooLong(buildMs: number): BuildAnswer {
  const message = `the build took more than ${buildMs / 1000} s and was ended: give it less code, or simpler code`;
  return { error: { code: "MF_BUILD_TIME", message } };
}

/** Variables that a build has a use for. Others may be secrets, which have no business where strangers' code is taken apart. */
const keptVariables = ["PATH", "HOME", "USERPROFILE", "SystemRoot", "XDG_CACHE_HOME", "ESBUILD_BINARY_PATH"];

function keptEnvironment(): Record<string, string> {
  return Object.fromEntries(keptVariables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

class Builder {
  readonly #queue = new Queue<Waiting>();
  #child: ChildProcess | undefined;
  #current: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Never rejects. */
  build(request: BuildRequest): Promise<BuildAnswer> {
    return new Promise((settle) => {
      if (this.#queue.length >= embedLimits.builds) {
        const message = "too many builds are waiting: await some of them before making more";
        return settle({ error: { code: "MF_BUILD_BUSY", message } });
      }
      this.#queue.push({ request, settle });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    clearTimeout(this.#timer);
    this.#current = this.#queue.shift();
    const child = (this.#child ??= this.#start());
    if (this.#current === undefined) {
      child.unref();
      child.channel?.unref();
      this.#timer = setTimeout(() => this.#kill(), embedLimits.builderIdleMs).unref();
      return;
    }
    const buildMs = embedLimits.buildMs[this.#current.request.kind];
    child.ref();
    child.channel?.ref();
    this.#timer = setTimeout(() => {
      this.#kill();
      this.#settle(tooLong(buildMs));
    }, buildMs);
    child.send(this.#current.request, (error) => {
      if (error !== null) this.#ended(child, error.message);
    });
  }

  #start(): ChildProcess {
    // In a group of its own, which is killed as a whole: bundler and type checker are processes too.
    const folder = mkdtempSync(join(tmpdir(), "mayfly-builder-")); // its files go with it, however it ends
    const child = fork(program, [], {
      env: { ...keptEnvironment(), TMPDIR: folder },
      serialization: "advanced",
      execArgv: [],
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    child.on("message", (given) => {
      if (child !== this.#child) return;
      const answer = given as BuildAnswer;
      if ("error" in answer && answer.error.code === undefined) this.#kill();
      this.#settle(answer);
    });
    child.on("error", (error) => this.#ended(child, error.message));
    child.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    child.on("exit", (code, signal) => this.#ended(child, `it ended with ${signal ?? `code ${code}`}`));
    return child;
  }

  #ended(child: ChildProcess, why: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#settle({
      error: {
        code: "MF_BUILD_FAILED",
        message: `the code could not be built, its process was lost (${why}): try again, or give it less code`,
      },
    });
  }

  #kill(): void {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      child.kill("SIGKILL"); // a system without groups, or gone already
    }
  }

  #settle(answer: BuildAnswer): void {
    const current = this.#current;
    this.#current = undefined;
    current?.settle(answer);
    if (this.#child !== undefined || this.#queue.length > 0) this.#next();
  }
}

const builder = new Builder();

/** The bytes of an image. Rejects with a CodedError. */
export async function buildApart(request: BuildRequest): Promise<Uint8Array> {
  const answer = await builder.build(request);
  if ("bytes" in answer) return answer.bytes;
  const { code, message } = answer.error;
  if (code !== undefined) throw new CodedError(code, message);
  const why = message.split("\n", 1)[0] ?? "";
  throw new CodedError("MF_BUILD_FAILED", `the code could not be built (${why}): give it less nesting, or simpler code`);
}
