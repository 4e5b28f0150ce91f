/** Reads the file of tenants: YAML → references → schema → meaning. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { CodedError } from "#base";
import { parse } from "yaml";
import type { Ceilings, GatewayConfig } from "../contract/config.ts";
import type { JsonSchema } from "../contract/connector.ts";
import { parseHost } from "../contract/hosts.ts";
import { parseNetwork } from "../contract/http/addresses.ts";
import { duration, quota, type Quota, size } from "../contract/units.ts";
import { type Environment, expand, type ReadSecret, secretFiles } from "../config/environment.ts";
import { pathText } from "../config/problem.ts";
import { pointerPath, sentence } from "../config/sentences.ts";
import { object, text, whole } from "../config/schema-parts.ts";
import { schemaCompiler } from "../config/validator.ts";
import { functionLimits } from "./limits.ts";
import { isName } from "./records.ts";
import { keyHash, onlyTenant, type Scope, scopes, type Tenant, type TenantKeeps, type TenantKey, Tenants } from "./tenants.ts";

const list = (description: string, items: JsonSchema): JsonSchema => ({
  type: "array",
  description,
  maxItems: 256,
  uniqueItems: true,
  items,
});

const keySchema = object("One key: its text or its hash, and what it may do.", {
  key: { type: "string", description: "The key, from ${ENV} or ${file:PATH}: at least 20 characters drawn at random." },
  hash: {
    type: "string",
    pattern: "^sha256:[0-9a-f]{64}$",
    patternErrorMessage: "must be sha256: and 64 hexadecimal digits, as `mayfly secrets key` prints it",
    description: "SHA-256 of the key, in place of the key.",
  },
  scopes: {
    ...list("deploy: change functions. read: see them, their logs and usage. invoke: call them. secrets: set and remove secrets.", {
      type: "string",
      enum: scopes,
    }),
    minItems: 1,
    default: ["deploy", "read"],
  },
});

/** Connectors whose settings name nothing of the gateway's computer but what fragment.ts checks. */
export const tenantSources = ["http", "cron"] as const;
export const tenantOutlets = ["http"] as const;

const tenantSchema = object("One tenant.", {
  keys: {
    type: "object",
    description: "Keys by name.",
    maxProperties: functionLimits.keys,
    default: {},
    propertyNames: { pattern: "^[A-Za-z][A-Za-z0-9_-]{0,63}$" },
    additionalProperties: keySchema,
  },
  hosts: { ...list("Hosts that its functions may reach, by outlets and by fetch.", text("A host.")), default: [] },
  networks: {
    ...list(
      "Networks inside of which its hosts may be, besides the public internet; addresses of this computer one by one. `any`: anywhere, and `fetch.proxy` counts.",
      text("A network, or any."),
    ),
    default: [],
  },
  sources: { ...list("Sources that its functions may have.", { type: "string", enum: tenantSources }), default: tenantSources },
  outlets: { ...list("Outlets that its functions may have.", { type: "string", enum: tenantOutlets }), default: tenantOutlets },
  functions: whole("Maximum number of functions.", 0, functionLimits.functions, functionLimits.perTenant),
  deploys: quota("Maximum rate of deploys and other changes.", "600/m"),
  requests: quota("Maximum rate of HTTP requests to its functions. Default: no bound."),
  cpu: duration("CPU time a day (UTC) of all its functions. Default: no bound."),
  queue: whole("Maximum number of its messages that are queued, running or waiting for a retry.", 1, 1_000_000, functionLimits.queue),
  state: size("Bytes of the state of its functions.", "64MiB"),
  messages: size("Bytes of its messages that wait, machines that sleep, and sends that are not delivered.", "256MiB"),
  deadLetters: size("Bytes of its dead letters; beyond it no message is taken until some are retried or dropped.", "64MiB"),
  history: size("Bytes a day (UTC) of history; beyond it nothing more is recorded of it that day.", "256MiB"),
  images: size("Bytes of its images on disk.", "1GiB"),
  weight: whole("Share of the CPU of all its functions together, relative to one flow of mayfly.yaml.", 1, 100, 1),
  monitor: {
    type: "string",
    enum: ["embedded", "process", "qemu"],
    description: "Monitor that runs its machines. Default: the gateway's own.",
  },
  limits: {
    ...object("Upper bounds of every function's limits.", {
      memory: size("Memory of the machine.", "64MiB"),
      cpu: duration("CPU time of one step.", "1s"),
      time: duration("Wall time of one message, including waits.", "1m"),
      sends: whole("Number of sends by one message.", 0, 1_000_000, 10_000),
      log: size("Size of the log text of one message.", "256KiB"),
    }),
    default: {},
  },
});

const fileSchema = object(
  "Tenants by name.",
  {
    tenants: { type: "object", description: "Tenants.", maxProperties: functionLimits.tenants, additionalProperties: tenantSchema },
  },
  ["tenants"],
);

interface CheckedTenant
  extends TenantKeeps,
    Omit<Tenant, "name" | "prefix" | "keys" | "hosts" | "networks" | "keeps" | "cpuMs" | "requests" | "monitor"> {
  readonly keys: Readonly<Record<string, { readonly key?: string; readonly hash?: string; readonly scopes: readonly Scope[] }>>;
  readonly hosts: readonly string[];
  readonly networks: readonly string[];
  readonly cpu?: number;
  readonly requests?: Quota;
  readonly monitor?: string;
}

/** Faults so far; each names its place. */
class Faults {
  readonly #file: string;
  readonly #lines: string[] = [];

  constructor(file: string) {
    this.#file = basename(file);
  }

  add(path: readonly (string | number)[], message: string): void {
    this.#lines.push(`${this.#file}: ${pathText(path)}: ${message}`);
  }

  check(): void {
    if (this.#lines.length > 0) throw new CodedError("MF_TENANTS_INVALID", this.#lines.slice(0, 20).join("\n"));
  }
}

/** The value with every reference in it replaced. */
function expanded(
  value: unknown,
  path: readonly (string | number)[],
  replace: (text: string, path: readonly (string | number)[]) => string,
): unknown {
  if (typeof value === "string") return value.includes("${") ? replace(value, path) : value;
  if (Array.isArray(value)) return value.map((each, index) => expanded(each, [...path, index], replace));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, expanded(each, [...path, name], replace)]));
}

function keysOf({ keys }: CheckedTenant, path: readonly string[], faults: Faults): TenantKey[] {
  return Object.entries(keys).map(([name, { key, hash, scopes: allowed }]) => {
    if ((key === undefined) === (hash === undefined)) faults.add([...path, "keys", name], "must have either key or hash");
    if (key !== undefined && key.length < functionLimits.keyCharacters)
      faults.add([...path, "keys", name, "key"], `must have at least ${functionLimits.keyCharacters} characters: draw it at random`);
    return { name, hash: hash === undefined ? keyHash(key ?? "") : Buffer.from(hash.slice("sha256:".length), "hex"), scopes: allowed };
  });
}

function lower(a: Ceilings, b: Ceilings): Ceilings {
  const least = (name: keyof Ceilings): number => Math.min(a[name], b[name]);
  return { memory: least("memory"), cpu: least("cpu"), time: least("time"), sends: least("sends"), log: least("log") };
}

function tenantOf(name: string, checked: CheckedTenant, ceilings: Ceilings, faults: Faults): Tenant {
  const path = ["tenants", name];
  if (!isName(name))
    faults.add(
      path,
      "a tenant's name begins with a letter and has letters, digits, _ and single dashes, at most 30; it begins paths, and may be none of the gateway's own",
    );
  const hosts = checked.hosts.flatMap((host, index) => {
    const parsed = parseHost(host);
    if (!parsed.ok) faults.add([...path, "hosts", index], parsed.error);
    return parsed.ok ? [parsed.value] : [];
  });
  for (const [index, each] of checked.networks.entries()) {
    const parsed = each === "any" ? undefined : parseNetwork(each);
    if (parsed?.ok === false) faults.add([...path, "networks", index], `${parsed.error}, or any`);
  }
  const { functions, deploys, requests, cpu, queue, weight, monitor, sources, outlets, networks } = checked;
  const { state, messages, deadLetters, history, images } = checked;
  const limits = lower(checked.limits, ceilings);
  const keys = keysOf(checked, path, faults);
  return {
    name,
    prefix: `/${name}`,
    keys,
    limits,
    functions,
    deploys,
    requests,
    cpuMs: cpu,
    queue,
    keeps: { state, messages, deadLetters, history, images },
    weight,
    monitor,
    sources,
    outlets,
    hosts,
    networks: networks.includes("any") ? undefined : networks,
  };
}

function checkHashes(tenants: readonly Tenant[], faults: Faults): void {
  const owners = new Map<string, string>();
  for (const { name, keys } of tenants)
    for (const key of keys) {
      const hash = Buffer.from(key.hash).toString("hex");
      const owner = owners.get(hash);
      if (owner !== undefined) faults.add(["tenants", name, "keys", key.name], `is the same key as ${owner}: give each its own`);
      owners.set(hash, `tenants.${name}.keys.${key.name}`);
    }
}

/** `text` of the file at `file`. Throws MF_TENANTS_INVALID, with a line for each fault. */
export function parseTenants(text: string, file: string, ceilings: Ceilings, environment: Environment, readSecret: ReadSecret): Tenants {
  const faults = new Faults(file);
  let data: unknown;
  try {
    data = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new CodedError("MF_TENANTS_INVALID", `${basename(file)} is not YAML: ${(error as Error).message}`, { cause: error });
  }
  data = expanded(data ?? {}, [], (value, path) => {
    const result = expand(value, environment, readSecret);
    if (!result.ok) faults.add(path, result.error);
    return result.ok ? result.value : value;
  });
  faults.check();
  const validate = schemaCompiler().compile(fileSchema as object);
  if (!validate(data))
    for (const error of validate.errors ?? []) {
      const { message, key } = sentence(error);
      const path = pointerPath(error.instancePath, data);
      faults.add(key === undefined ? path : [...path, key], message);
    }
  faults.check();
  const checked = (data as { readonly tenants: Readonly<Record<string, CheckedTenant>> }).tenants;
  const tenants = Object.entries(checked).map(([name, each]) => tenantOf(name, each, ceilings, faults));
  checkHashes(tenants, faults);
  faults.check();
  return new Tenants(tenants, false);
}

/** The tenants of a configuration. Rejects with MF_TENANTS_FILE or MF_TENANTS_INVALID. */
export async function configuredTenants(
  { functions, base }: Pick<GatewayConfig, "functions" | "base">,
  environment: Environment,
): Promise<Tenants> {
  if (functions === undefined) throw new Error("assertion failed: functions are configured");
  const { tenants: file, ceilings } = functions;
  if (file === undefined) return onlyTenant(ceilings);
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new CodedError("MF_TENANTS_FILE", `cannot read ${file} (${cause.code ?? "unknown"}): it is functions.tenants of mayfly.yaml`, {
      cause,
    });
  });
  if (text.length > functionLimits.tenantsFileBytes)
    throw new CodedError("MF_TENANTS_INVALID", `${basename(file)} is longer than ${functionLimits.tenantsFileBytes} bytes`);
  return parseTenants(text, file, ceilings, environment, secretFiles(base, new Set()));
}
