/** The files of a contract: one that mayfly.yaml names, and those that it refers to. All within the project, none from the network. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { CodedError } from "#base";
import { isAlias, isMap, isNode, isSeq, LineCounter, parseDocument } from "yaml";
import { contractLimits } from "./limits.ts";
import { isPlain } from "./model.ts";

interface ContractFile {
  /** Absolute. */
  readonly path: string;
  /** From the project's folder, for messages. */
  readonly name: string;
  readonly data: unknown;
  readonly text: string;
}

/** A value in a file, and its steps from the top. */
export interface Located {
  readonly file: string;
  readonly steps: readonly string[];
  readonly value: unknown;
}

export class ContractFiles {
  readonly #folder: string;
  readonly #realFolder: string;
  readonly #files = new Map<string, ContractFile>();
  #bytes = 0;

  /** Contents by the text of a file: parsing a long one takes longer than all the rest. */
  readonly #parsed: Map<string, unknown>;

  /** `folder`: the project's, absolute. `parsed`: shared with other readers. */
  constructor(folder: string, parsed = new Map<string, unknown>()) {
    this.#parsed = parsed;
    this.#folder = folder;
    this.#realFolder = realFolder(folder);
  }

  /** Paths of all files that were read, absolute. */
  get paths(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** The whole of a file. Throws MF_CONTRACT_FILE, MF_CONTRACT_LIMIT or MF_CONTRACT_SYNTAX. */
  open(path: string): Located {
    const file = resolve(this.#folder, path);
    return { file, steps: [], value: this.#read(file, path).data };
  }

  /** Finds the target of a `$ref` in a file: `#/a/b`, `other.yaml`, `other.yaml#/a`. Throws MF_CONTRACT_REF as well. */
  follow(reference: string, from: Located): Located {
    if (/^[a-z][a-z0-9+.-]*:/i.test(reference) || reference.startsWith("//"))
      throw new CodedError(
        "MF_CONTRACT_REF",
        `${this.placeOf(from)}: $ref ${reference} leads to the network, and nothing is fetched: put the file into the project and refer to it there`,
      );
    const mark = reference.indexOf("#");
    const path = decoded(mark < 0 ? reference : reference.slice(0, mark));
    const pointer = decoded(mark < 0 ? "" : reference.slice(mark + 1));
    if (path === undefined || pointer === undefined || (pointer !== "" && !pointer.startsWith("/")))
      throw new CodedError(
        "MF_CONTRACT_REF",
        `${this.placeOf(from)}: $ref ${reference} is not a file and a JSON pointer: write #/components/…`,
      );
    const file = path === "" ? from.file : resolve(dirname(from.file), path);
    let value = path === "" ? this.#read(file, path).data : this.#readFor(file, reference, from);
    const steps = pointer
      .split("/")
      .slice(1)
      .map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));
    for (const step of steps) {
      const holder = value as Record<string, unknown>;
      if (typeof value !== "object" || value === null || !Object.hasOwn(holder, step))
        throw new CodedError(
          "MF_CONTRACT_REF",
          `${this.placeOf(from)}: $ref ${reference} leads to nothing: correct it, or add what is missing`,
        );
      value = holder[step];
    }
    return { file, steps, value };
  }

  /** `petstore.yaml:12 /paths/~1pets/get`: with the line where the file is YAML. */
  placeOf({ file, steps }: Located): string {
    const { name, text } = this.#files.get(file) ?? { name: relative(this.#folder, file), text: "" };
    const line = name.endsWith(".json") ? undefined : lineOf(text, steps);
    const pointer = steps.map((step) => `/${step.replace(/~/g, "~0").replace(/\//g, "~1")}`).join("");
    return `${name}${line === undefined ? "" : `:${line}`}${pointer === "" ? "" : ` ${pointer}`}`;
  }

  #readFor(file: string, reference: string, from: Located): unknown {
    try {
      return this.#read(file, reference).data;
    } catch (error) {
      if (!(error instanceof CodedError) || error.code === "MF_CONTRACT_SYNTAX") throw error;
      throw new CodedError(error.code, `${this.placeOf(from)}: ${error.message}`, { cause: error });
    }
  }

  #read(file: string, written: string): ContractFile {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const name = relative(this.#folder, file);
    const text = this.#text(file, written);
    const id = `${name.endsWith(".json") ? "json" : "yaml"} ${text}`;
    const read: ContractFile = { path: file, name, data: this.#parsed.get(id) ?? parsed(text, name), text };
    checkDepth(read.data, name);
    this.#parsed.set(id, read.data);
    this.#files.set(file, read);
    return read;
  }

  #text(file: string, written: string): string {
    if (this.#files.size >= contractLimits.files)
      throw new CodedError("MF_CONTRACT_LIMIT", `the contract has more than ${contractLimits.files} files: join some of them`);
    let size: number;
    let real: string;
    try {
      real = realpathSync(file);
      const found = statSync(real);
      if (!found.isFile()) throw Object.assign(new Error("not a file"), { code: "not a file" });
      size = found.size;
    } catch (cause) {
      const { code = "unknown" } = cause as NodeJS.ErrnoException;
      throw new CodedError(
        "MF_CONTRACT_FILE",
        `${written} can't be read (${code}): correct the path, which starts from the file that names it`,
        {
          cause,
        },
      );
    }
    if (!real.startsWith(this.#realFolder + sep))
      throw new CodedError("MF_CONTRACT_FILE", `${written} is outside the folder of mayfly.yaml: copy the file into the project`);
    this.#bytes += size;
    if (this.#bytes > contractLimits.fileBytes)
      throw new CodedError(
        "MF_CONTRACT_LIMIT",
        `${written} makes the contract longer than ${contractLimits.fileBytes} bytes: leave out operations that are not served`,
      );
    return readFileSync(real, "utf8");
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // nothing can be read there, and each file says so
  }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function parsed(text: string, name: string): unknown {
  try {
    if (name.endsWith(".json")) return JSON.parse(text.replace(/^\ufeff/, "")) as unknown;
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, logLevel: "error" });
    const [error] = document.errors;
    if (error !== undefined) throw new Error(`line ${lines.linePos(error.pos[0]).line}: ${error.message}`);
    return document.toJS({ maxAliasCount: 1000 }) as unknown;
  } catch (cause) {
    const why = cause instanceof RangeError ? "it is nested too deeply" : (cause as Error).message;
    throw new CodedError("MF_CONTRACT_SYNTAX", `${name} is not ${name.endsWith(".json") ? "JSON" : "YAML"}: ${why}`, { cause });
  }
}

/** Walks without recursion. YAML aliases may make a part of several parents, never of itself. */
function checkDepth(data: unknown, name: string): void {
  let level: unknown[] = [data];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > contractLimits.depth)
      throw new CodedError("MF_CONTRACT_LIMIT", `${name} has more than ${contractLimits.depth} levels: use $ref for some of them`);
    const next = new Set<unknown>();
    for (const each of level)
      if (Array.isArray(each) || isPlain(each)) for (const part of Object.values(each)) if (typeof part === "object") next.add(part);
    level = [...next];
  }
}

/** Line of a value in a YAML text. Parses it again: this is for errors only. */
function lineOf(text: string, steps: readonly string[]): number | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, logLevel: "error" });
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const step of steps) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String((key as { value?: unknown } | null)?.value) === step);
      if (pair === undefined) break;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = (isNode(node) ? node.range?.[0] : undefined) ?? offset;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}
