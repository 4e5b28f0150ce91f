/**
 * Contracts: `.proto` files of the project. They are read together with mayfly.yaml, and kept in the configuration as plain data, so that a
 * reload sees what has changed. Imports start from the folder of the first file, then from the folder of mayfly.yaml; google/protobuf/… is
 * part of protobufjs.
 */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve, sep } from "node:path";
import type { INamespace, Method, Service, Type } from "protobufjs";
import { isCoded } from "#base";
import { SettingError } from "#gateway/contract";
import { messageOf } from "../shared/explain.ts";
import { loadProtobuf, type ProtobufLibrary } from "./client.ts";
import { grpcLimits } from "./limits.ts";

/** All that the files declare, as protobufjs writes it. */
export type ProtoContract = INamespace;

export interface ProtoSettings {
  /** File, as written. */
  readonly proto: string;
  /** Full name: `shop.Orders`. */
  readonly service: string;
  /** Absent: all methods of the service. */
  readonly method?: string | readonly string[];
  /** Once it is read. */
  readonly contract?: ProtoContract;
}

/** A unary method. */
export interface GrpcMethod {
  readonly name: string;
  /** `/shop.Orders/Create`, as it is called. */
  readonly path: string;
  readonly request: Type;
  readonly reply: Type;
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // nothing can be read there, and each file says so
  }
}

class ProtoFiles {
  readonly #library: ProtobufLibrary;
  readonly #base: string;
  readonly #realBase: string;
  readonly paths: string[] = [];
  #bytes = 0;

  constructor(library: ProtobufLibrary, base: string) {
    this.#library = library;
    this.#base = base;
    this.#realBase = realFolder(base);
  }

  /** Throws a SettingError. */
  read(written: string): ProtoContract {
    const root = new this.#library.Root();
    const top = resolve(this.#base, written);
    const known = new Set<string>();
    const waiting: { readonly name: string; readonly from: string | undefined }[] = [{ name: written, from: undefined }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { name, from } = next;
      if (known.has(name)) continue;
      known.add(name);
      const common = from === undefined ? null : this.#library.common.get(name);
      if (common?.nested !== undefined && common.nested !== null) {
        root.addJSON(common.nested);
        continue;
      }
      const { path, text } = this.#text(from === undefined ? [top] : [resolve(dirname(top), name), resolve(this.#base, name)], name, from);
      if (this.paths.includes(path)) continue;
      this.paths.push(path);
      const parsed = this.#parse(text, name, root);
      for (const each of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) waiting.push({ name: each, from: name });
    }
    try {
      root.resolveAll();
    } catch (cause) {
      throw this.#wrong("MF_GRPC_PROTO", `${written}: ${messageOf(cause)}`, cause);
    }
    return root.toJSON();
  }

  #parse(text: string, name: string, root: InstanceType<ProtobufLibrary["Root"]>): ReturnType<ProtobufLibrary["parse"]> {
    try {
      return this.#library.parse(text, root, { keepCase: true });
    } catch (cause) {
      throw this.#wrong("MF_GRPC_PROTO", `${name} can't be read as protobuf: ${messageOf(cause)}`, cause);
    }
  }

  #text(candidates: readonly string[], name: string, from: string | undefined): { readonly path: string; readonly text: string } {
    const named = from === undefined ? name : `${name}, which ${from} imports,`;
    let reason: unknown;
    for (const candidate of candidates) {
      let real: string;
      let size: number;
      try {
        real = realpathSync(candidate);
        const found = statSync(real);
        if (!found.isFile()) continue;
        size = found.size;
      } catch (error) {
        reason ??= error;
        continue;
      }
      if (!real.startsWith(this.#realBase + sep))
        throw this.#wrong("MF_GRPC_PROTO", `${named} is outside the folder of mayfly.yaml: copy the file into the project`);
      this.#bytes += size;
      if (this.paths.length >= grpcLimits.protoFiles || this.#bytes > grpcLimits.protoBytes)
        throw this.#wrong(
          "MF_GRPC_PROTO",
          `${named} makes more than ${grpcLimits.protoFiles} files or ${grpcLimits.protoBytes} bytes: leave out what is not called`,
        );
      return { path: real, text: readFileSync(real, "utf8") };
    }
    const code = (reason as NodeJS.ErrnoException | undefined)?.code ?? "not a file";
    throw this.#wrong(
      "MF_GRPC_PROTO",
      `${named} can't be read (${code}): correct the path, which starts from the folder of mayfly.yaml`,
      reason,
    );
  }

  #wrong(code: string, message: string, cause?: unknown): SettingError {
    return new SettingError(code, "proto", message, { cause, files: this.paths });
  }
}

/** Reads the contract that a checked configuration names. Throws a SettingError: also for a method that streams. */
export function readProto<Config extends ProtoSettings>(
  config: Config,
  base: string,
): { readonly config: Config; readonly files: readonly string[]; readonly methods: readonly GrpcMethod[] } {
  let library: ProtobufLibrary;
  try {
    library = loadProtobuf();
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw new SettingError(error.code, undefined, error.message, { cause: error });
  }
  const files = new ProtoFiles(library, base);
  const expanded = { ...config, contract: files.read(config.proto) };
  return { config: expanded, files: files.paths, methods: methodsOf(expanded, files.paths) };
}

/** The methods of a contract that was read. Throws a SettingError. */
export function methodsOf(
  { contract = {}, service: wanted, method, proto }: ProtoSettings,
  files: readonly string[] = [],
): readonly GrpcMethod[] {
  const root = loadProtobuf().Root.fromJSON(contract);
  root.resolveAll();
  const wrong = (code: string, setting: string, message: string): SettingError => new SettingError(code, setting, message, { files });
  let service: Service;
  try {
    service = root.lookupService(wanted);
  } catch {
    throw wrong("MF_GRPC_SERVICE", "service", `${proto} has no service ${wanted}: write its full name, with the package before it`);
  }
  const names = method === undefined ? service.methodsArray.map(({ name }) => name) : [method].flat();
  return names.map((name): GrpcMethod => {
    const found = Object.hasOwn(service.methods, name) ? service.methods[name] : undefined;
    if (found === undefined)
      throw wrong("MF_GRPC_METHOD", "method", `${wanted} has no method ${name}: it has ${Object.keys(service.methods).join(", ")}`);
    if (streams(found))
      throw wrong(
        "MF_GRPC_STREAMING",
        method === undefined ? "service" : "method",
        `${wanted}.${name} streams, and only unary methods are supported: name the others under method`,
      );
    found.resolve();
    const { resolvedRequestType: request, resolvedResponseType: reply } = found;
    if (request === null || reply === null) throw wrong("MF_GRPC_PROTO", "proto", `the types of ${wanted}.${name} are unknown`);
    return { name, path: `/${service.fullName.slice(1)}/${name}`, request, reply };
  });
}

const streams = ({ requestStream, responseStream }: Method): boolean => requestStream === true || responseStream === true;
