/**
 * `hello.mayfly.yaml`: what mayfly.yaml says of one flow, without its file. It is read as the flow of a configuration of its own, then held
 * against what the tenant may. References are to secrets of the tenant only: neither files nor the environment are the author's.
 */
import { CodedError, err } from "#base";
import { defaultFlowLimits, type FlowLimits } from "#abi";
import { parse } from "yaml";
import { join } from "node:path";
import type { Ceilings, FlowConfig, SourceConfig } from "../contract/config.ts";
import type { Connectors } from "../contract/connectors.ts";
import { type HostPattern, isDeclared, parseHost } from "../contract/hosts.ts";
import { type HttpPlace, routesOf } from "../contract/http/routes.ts";
import type { Share } from "../contract/runner.ts";
import type { ReadSecret } from "../config/environment.ts";
import { ConfigError, type ConfigProblem } from "../config/problem.ts";
import { readConfig } from "../config/read.ts";
import { functionLimits } from "./limits.ts";
import { flowNameOf } from "./records.ts";
import type { Secrets } from "./secrets.ts";
import type { Tenant } from "./tenants.ts";

export interface FragmentPorts {
  readonly connectors: Connectors;
  /** Folder relative paths start from. */
  readonly base: string;
  readonly secrets: Pick<Secrets, "value">;
}

export interface FragmentPlace {
  readonly tenant: Tenant;
  readonly name: string;
  /** Of the tenant. */
  readonly share: Share;
}

/** Lines above the fragment, and spaces before each of its lines, in the configuration it is read in. */
const linesAbove = 3;
const indent = 4;

export function pathOf(tenant: Tenant, name: string): string {
  return `${tenant.prefix}/${name}`;
}

/** `path`: of the source that a fragment without one gets; undefined where it has sources. */
function asConfig(name: string, text: string, path: string | undefined): string {
  const source = path === undefined ? "" : `\nfrom: [{ http: { path: ${JSON.stringify(path)}, method: [GET, POST, PUT, PATCH, DELETE] } }]`;
  const lines = `${text}${source}`.split(/\r\n|\r|\n/).map((line) => (line === "" ? line : " ".repeat(indent) + line));
  return `flows:\n  ${name}:\n    image: deployed.mfi\n${lines.join("\n")}\n`;
}

function refused(file: string, message: string): CodedError {
  return new CodedError("MF_FUNCTION_LIMIT", `${file}: ${message}`);
}

/**
 * Before it is read: settings that would have the gateway open a file of its own. True where it has sources. Throws MF_FUNCTION_FRAGMENT or
 * MF_FUNCTION_LIMIT.
 */
function checkWritten(text: string, file: string): boolean {
  let value: unknown;
  try {
    value = parse(text, { merge: true, maxAliasCount: 100, logLevel: "error" });
  } catch {
    return true; // said with its place once it is read
  }
  if (value === null || value === undefined) return false;
  if (typeof value !== "object" || Array.isArray(value))
    throw new CodedError("MF_FUNCTION_FRAGMENT", `${file} must have settings of a flow, as in mayfly.yaml: from, to, limits and so on`);
  for (const key of ["flow", "image"])
    if (Object.hasOwn(value, key))
      throw new CodedError("MF_FUNCTION_FRAGMENT", `${file}: ${key} is what \`mayfly deploy\` uploads: leave it out`);
  walk(value, [], (key, at) => {
    if (key === "openapi" || key === "proto" || key === "tls" || key === "proxy" || key === "claimCheck")
      throw refused(
        file,
        `${at.join(".")} names what is the gateway's: a function can't have it; leave it out, or serve the flow in mayfly.yaml`,
      );
  });
  return Object.hasOwn(value, "from");
}

/** Calls `each` for every key of every object, outermost first. */
function walk(value: unknown, path: readonly string[], each: (key: string, path: readonly string[], value: unknown) => void): void {
  if (typeof value !== "object" || value === null || path.length > 32) return;
  for (const [key, below] of Object.entries(value)) {
    each(key, [...path, key], below);
    walk(below, [...path, key], each);
  }
}

/** The fragment's own lines and columns. */
function placed(problem: ConfigProblem, flow: string): ConfigProblem {
  const inFragment = problem.line > linesAbove;
  const start = `flows.${flow}`;
  const path = problem.path.startsWith(start) ? problem.path.slice(start.length).replace(/^\./, "") : "";
  return {
    ...problem,
    line: inFragment ? problem.line - linesAbove : 1,
    column: inFragment ? Math.max(problem.column - indent, 1) : 1,
    path,
  };
}

function secretsOnly(secrets: FragmentPorts["secrets"], tenant: string): ReadSecret {
  return (name, kind) => {
    if (kind === "secret") return secrets.value(tenant, name);
    return err(
      `names ${kind === "file" ? "a file" : `the variable ${name}`}, and a function has none of the gateway's: write \${secret:NAME}`,
    );
  };
}

/** Reads a function's settings. Throws a ConfigError, MF_FUNCTION_FRAGMENT or MF_FUNCTION_LIMIT. */
export function readFragment(
  text: string,
  { tenant, name, share }: FragmentPlace,
  { connectors, base, secrets }: FragmentPorts,
): FlowConfig {
  const file = `${name}.mayfly.yaml`;
  if (Buffer.byteLength(text) > functionLimits.fragmentBytes)
    throw new CodedError("MF_FUNCTION_FRAGMENT", `${file} is longer than ${functionLimits.fragmentBytes} bytes: shorten it`);
  const hasSources = checkWritten(text, file);
  const flow = flowNameOf({ tenant: tenant.name, name });
  let config: FlowConfig | undefined;
  try {
    const options = { ...connectors, environment: {}, readSecret: secretsOnly(secrets, tenant.name) };
    const { flows } = readConfig(asConfig(flow, text, hasSources ? undefined : pathOf(tenant, name)), join(base, file), options);
    config = Object.keys(flows).length === 1 ? flows[flow] : undefined;
  } catch (error) {
    if (error instanceof ConfigError)
      throw new ConfigError(
        file,
        error.problems.map((problem) => placed(problem, flow)),
      );
    throw error;
  }
  if (config === undefined) throw new CodedError("MF_FUNCTION_FRAGMENT", `${file} must have settings of one flow only`);
  checkBounds(config, tenant, name, file);
  const { limits: ceilings, networks, keeps } = tenant;
  const own =
    tenant.name === ""
      ? {}
      : { keeps: { owner: tenant.name, state: keeps.state, messages: keeps.messages, deadLetters: keeps.deadLetters } };
  return { ...config, ...own, queue: Math.min(config.queue, tenant.queue), ceilings, networks, share };
}

function sourcesOf({ from, signals }: FlowConfig): readonly SourceConfig[] {
  return [...from, ...Object.values(signals).flatMap((signal) => signal.from)];
}

/** True for a function that must be served before anybody calls it. */
export function isResident(config: FlowConfig): boolean {
  return sourcesOf(config).some(({ connector }) => connector !== "http") || Object.keys(config.signals).length > 0;
}

/** Paths of its HTTP sources. */
export function pathsOf({ from }: FlowConfig): readonly string[] {
  const paths = from.flatMap(({ connector, config }) =>
    connector === "http" ? routesOf(config as HttpPlace).map(({ path }) => path) : [],
  );
  return [...new Set(paths)];
}

function checkBounds(config: FlowConfig, tenant: Tenant, name: string, file: string): void {
  const { sources, outlets, hosts, limits } = tenant;
  for (const { connector, config: settings } of sourcesOf(config)) {
    if (sources?.includes(connector) === false)
      throw refused(file, `a ${connector} source is not allowed: use ${sources.join(" or ") || "none"}, or ask whoever runs the gateway`);
    if (connector === "http") checkPaths(settings as HttpPlace, pathOf(tenant, name), file);
  }
  for (const [outlet, { connector }] of Object.entries(config.to))
    if (outlets?.includes(connector) === false)
      throw refused(
        file,
        `to.${outlet}: a ${connector} outlet is not allowed: use ${outlets.join(" or ") || "none"}, or ask whoever runs the gateway`,
      );
  checkKeys(config, file);
  for (const key of Object.keys(limits) as (keyof Ceilings)[]) {
    const asked = config.limits[key];
    if (asked !== undefined && asked > limits[key])
      throw refused(
        file,
        `limits.${key} is ${asked}, and at most ${limits[key]} ${key === "cpu" || key === "time" ? "ms are" : "is"} allowed: lower it`,
      );
  }
  if (tenant.name !== "" && config.weight !== 1) throw refused(file, "weight is the tenant's: leave it out");
  if (hosts !== undefined) checkHosts(config, hosts, file);
}

/** A private key that is no text is a file of the gateway's, with which it would sign for the function. */
function checkKeys({ to }: FlowConfig, file: string): void {
  walk(to, ["to"], (key, at, value) => {
    if (key === "privateKey" && typeof value === "string" && !value.includes("-----BEGIN "))
      throw refused(
        file,
        `${at.join(".")} names a file, and a function has none of the gateway's: keep the key in a secret and write \${secret:NAME}`,
      );
  });
}

function checkPaths(place: HttpPlace, own: string, file: string): void {
  for (const { path } of routesOf(place))
    if (path !== own && !path.startsWith(`${own}/`))
      throw refused(file, `the path ${path} is not the function's: it must be ${own} or begin with ${own}/`);
}

/** Every URL of a connector's settings, and every host that `fetch` may reach. */
function checkHosts(config: FlowConfig, hosts: readonly HostPattern[], file: string): void {
  const all = [...Object.values(config.to), ...sourcesOf(config)];
  for (const { connector, config: settings } of all)
    walk(settings, [connector], (_key, at, value) => {
      if (typeof value !== "string" || !URL.canParse(value)) return;
      const url = new URL(value);
      if (/^(http|ws)s?:$/.test(url.protocol) && !isDeclared(url, hosts))
        throw refused(
          file,
          `${at.join(".")} leads to a host that the tenant may not reach: ask whoever runs the gateway to add it to hosts`,
        );
    });
  for (const host of config.hosts)
    if (!isCovered(host, hosts))
      throw refused(file, `hosts: ${host} may not be reached: ask whoever runs the gateway to add it to the tenant's hosts`);
}

function isCovered(text: string, hosts: readonly HostPattern[]): boolean {
  const asked = parseHost(text);
  if (!asked.ok) return false;
  const { host, wildcard, port } = asked.value;
  return hosts.some(
    (own) =>
      own.port === port &&
      (own.wildcard ? host.endsWith(own.host) && (wildcard || host.length > own.host.length) : !wildcard && host === own.host),
  );
}

/** Limits that the image asks for itself. Throws MF_FUNCTION_LIMIT. */
export function checkImageLimits(own: FlowLimits, config: FlowConfig, tenant: Tenant, name: string): void {
  const { memoryBytes: memory, cpuMs: cpu, timeMs: time, sends, logBytes: log } = own;
  const standard = defaultFlowLimits;
  const usual: Ceilings = {
    memory: standard.memoryBytes,
    cpu: standard.cpuMs,
    time: standard.timeMs,
    sends: standard.sends,
    log: standard.logBytes,
  };
  const asked: Ceilings = { memory, cpu, time, sends, log };
  for (const key of Object.keys(asked) as (keyof Ceilings)[])
    if (config.limits[key] === undefined && asked[key] !== usual[key] && asked[key] > tenant.limits[key])
      throw refused(
        name,
        `the flow's own limits.${key} is ${asked[key]}, and at most ${tenant.limits[key]} is allowed: lower it in the flow`,
      );
}
