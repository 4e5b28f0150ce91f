/** From checked data to the configuration the gateway uses: what a schema can't say is checked here. */
import { hardLimits } from "#abi";
import { table } from "#base";
import { join, resolve } from "node:path";
import { pathParametersOf, type HttpPlace } from "../contract/http/routes.ts";
import type { Connectors } from "../contract/connectors.ts";
import { parseHost } from "../contract/hosts.ts";
import { parseKey } from "../delivery/admission/keys.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { checkCluster, type CheckedCluster, clusterConfig } from "./cluster-settings.ts";
import { checkClientCertificates, checkContracts, checkDocument, checkRoutes } from "./http-places.ts";
import { type CheckedHistory, type CheckedHistoryRules, historyPlace, historyRules } from "./history-settings.ts";
import type { Path, Report } from "./problem.ts";
import { hint } from "./suggest.ts";
import { ownerMark, ownerOf } from "../journal/owned-bytes.ts";
import { historyLimits } from "../history/limits.ts";
import type {
  Ceilings,
  FlowConfig,
  FlowRetryConfig,
  GatewayConfig,
  LimitsConfig,
  OnDead,
  OutletConfig,
  RetryConfig,
  SignalConfig,
  SleepConfig,
  SourceConfig,
  TelemetryConfig,
  TlsServerConfig,
} from "../contract/config.ts";

/** mayfly.yaml after validation: defaults are in, units are numbers. */
interface Checked {
  readonly flows: Readonly<Record<string, CheckedFlow>>;
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly connectionsPerAddress: number;
    readonly proxies: GatewayConfig["http"]["proxies"];
    readonly tls?: Omit<TlsServerConfig, "clientCa"> & { readonly clientCa?: string };
    readonly openapi: string;
    readonly metrics: GatewayConfig["http"]["metrics"];
    readonly admin: {
      readonly enabled: boolean;
      readonly host: string;
      readonly hosts: readonly string[];
      readonly port?: number;
      readonly token?: string;
    };
  };
  readonly fetch: { readonly proxy?: string; readonly ca?: string; readonly networks?: readonly string[] };
  readonly journal: {
    readonly dir: string;
    readonly memory: boolean;
    readonly retention?: { readonly age: number; readonly size: number };
  };
  readonly cluster?: CheckedCluster;
  readonly deadLetters: { readonly dir: string };
  readonly functions?: { readonly dir?: string; readonly tenants?: string };
  readonly history: CheckedHistory;
  readonly build: { readonly include: readonly string[] };
  readonly images: { readonly trust: readonly string[] };
  readonly memory?: number;
  readonly ceilings: Ceilings;
  readonly approvals?: { readonly url: string; readonly key?: string };
  readonly monitor: GatewayConfig["monitor"];
  readonly workers?: number;
  readonly isolation: GatewayConfig["isolation"];
  readonly telemetry?: Partial<TelemetryConfig> & Pick<TelemetryConfig, "headers" | "traces" | "metrics" | "logs" | "attributes">;
  readonly log: GatewayConfig["log"];
  readonly drain: number;
}

interface CheckedFlow {
  readonly flow?: string;
  readonly image?: string | { readonly new: string; readonly share: number };
  readonly from: readonly Readonly<Record<string, unknown>>[];
  readonly to: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly hosts: readonly string[];
  readonly values: Readonly<Record<string, string>>;
  readonly retry: FlowRetryConfig;
  readonly onDead: OnDead;
  readonly limits: LimitsConfig;
  readonly weight: number;
  readonly key?: string;
  readonly dedup?: { readonly by?: string; readonly window: number; readonly count: number };
  readonly keepCredentials: boolean;
  readonly expires?: number;
  readonly claimCheck?: number;
  readonly concurrency: number;
  readonly queue: number;
  readonly history?: CheckedHistoryRules;
  readonly sleep: SleepConfig;
  readonly signals: Readonly<Record<string, CheckedSignal>>;
}

interface CheckedSignal {
  readonly from: readonly Readonly<Record<string, unknown>>[];
  readonly key?: string | readonly string[];
}

export function buildConfig(
  data: Checked,
  base: string,
  connectors: Connectors,
  report: Report,
): Omit<GatewayConfig, "secretFiles" | "contractFiles"> {
  const names = Object.keys(data.flows);
  const flows = table<FlowConfig>();
  for (const [name, flow] of Object.entries(data.flows))
    flows[name] = {
      ...buildFlow(flow, ["flows", name], names, connectors, report),
      ceilings: data.ceilings,
      history: historyRules(data.history, flow.history),
    };
  checkRoutes(flows, data.approvals !== undefined, report);
  checkContracts(flows, base, report);
  checkDocument(flows, data.http.openapi, report);
  if (data.http.tls?.clientCa === undefined) checkClientCertificates(flows, report);
  for (const [name, { claimCheck }] of Object.entries(flows))
    if (claimCheck !== undefined && data.journal.memory)
      report(["flows", name, "claimCheck"], "needs a journal on disk: remove journal.memory, or this");
  if (data.ceilings.memory > hardLimits.memoryBytes)
    report(["ceilings", "memory"], `a machine can have at most ${hardLimits.memoryBytes / 2 ** 20}MiB; this limit is fixed`);
  if (data.memory !== undefined && data.memory < gatewayLimits.memory.leastBytes)
    report(["memory"], `must be at least ${gatewayLimits.memory.leastBytes / 2 ** 20}MiB`);
  if (data.history.size < historyLimits.leastSizeBytes)
    report(["history", "size"], `must be at least ${historyLimits.leastSizeBytes / 2 ** 20}MiB`);
  const { admin, host, port, connectionsPerAddress, metrics, openapi, proxies, tls } = data.http;
  const document = openapi === "off" ? undefined : openapi;
  checkAdmin(data.http, report);
  if (data.fetch.networks !== undefined && data.fetch.proxy !== undefined)
    report(["fetch", "networks"], "a proxy chooses the addresses itself: have it refuse those, or remove fetch.proxy");
  checkCluster(data, flows, report);
  return {
    base,
    flows,
    http: {
      host,
      port,
      connectionsPerAddress,
      openapi: document,
      metrics,
      proxies,
      tls: tls === undefined ? undefined : { ...tls, clientCa: tls.clientCa },
      admin: { enabled: admin.enabled, host: admin.host, hosts: admin.hosts, port: admin.port, token: admin.token },
    },
    fetch: { proxy: data.fetch.proxy, ca: data.fetch.ca, networks: data.fetch.networks },
    journal: journalConfig(data.journal),
    cluster: clusterConfig(data.cluster, base),
    deadLetters: data.deadLetters,
    functions: functionsConfig(data, base, report),
    history: historyPlace(data.history, base, data.journal.memory ? undefined : data.journal.dir),
    build: { include: data.build.include.map((folder) => resolve(base, folder)) },
    images: { trust: data.images.trust.map((file) => resolve(base, file)) },
    memory: data.memory,
    approvals: data.approvals === undefined ? undefined : { url: data.approvals.url, key: data.approvals.key },
    monitor: data.monitor,
    workers: data.workers,
    isolation: data.isolation,
    telemetry: telemetryConfig(data.telemetry),
    log: data.log,
    drain: data.drain,
  };
}

function checkAdmin({ admin, port }: Checked["http"], report: Report): void {
  if (admin.port !== undefined && admin.token === undefined)
    report(
      ["http", "admin", "port"],
      "anyone who can reach the port could send messages and drop dead letters: set http.admin.token as well, or remove the port and use the socket",
    );
  if (admin.token !== undefined && admin.port === undefined)
    report(
      ["http", "admin", "token"],
      "the admin endpoints are not served on http.port: set http.admin.port to another port, or remove the token; on this computer the command line uses a socket and needs no token",
    );
  if (admin.port !== undefined && admin.port !== 0 && admin.port === port)
    report(["http", "admin", "port"], `${port} is http.port: the admin endpoints need a different port`);
}

function journalConfig({ dir, memory, retention }: Checked["journal"]): GatewayConfig["journal"] {
  return {
    dir: memory ? undefined : dir,
    retention: retention === undefined ? undefined : { ageMs: retention.age, bytes: retention.size },
  };
}

function functionsConfig({ functions, flows, journal, ceilings, http }: Checked, base: string, report: Report): GatewayConfig["functions"] {
  if (functions === undefined) return undefined;
  if (functions.dir === undefined && journal.memory)
    report(["functions"], "are kept in the journal's folder, and the journal is in memory: set functions.dir as well");
  if (functions.tenants !== undefined && http.admin.port === undefined)
    report(["functions", "tenants"], "tenants deploy over http.admin.port: set http.admin.port and http.admin.token");
  const taken = functions.tenants === undefined ? [] : Object.keys(flows).filter((flow) => ownerOf(flow) !== undefined);
  for (const flow of taken)
    report(
      ["flows", flow],
      `is the name of a tenant's function, TENANT${ownerMark}NAME, and would count as its own: name the flow without "${ownerMark}"`,
    );
  const { dir = join(journal.dir, "functions"), tenants } = functions;
  return { dir: resolve(base, dir), tenants: tenants === undefined ? undefined : resolve(base, tenants), ceilings };
}

function telemetryConfig(telemetry: Checked["telemetry"]): TelemetryConfig | undefined {
  if (telemetry === undefined) return undefined;
  const { endpoint, headers, sample, traces, metrics, logs, service, attributes, interval } = telemetry;
  return { endpoint, headers, sample, traces, metrics, logs, service, attributes, interval };
}

function buildFlow(
  flow: CheckedFlow,
  path: Path,
  flowNames: readonly string[],
  connectors: Connectors,
  report: Report,
): Omit<FlowConfig, "ceilings" | "history"> {
  const image = typeof flow.image === "string" ? flow.image : undefined;
  const canary = typeof flow.image === "object" ? flow.image : undefined;
  if ((flow.flow === undefined) === (image === undefined))
    report(path, 'must have either "flow" (a TypeScript file) or "image" (a built image)');
  for (const [index, host] of flow.hosts.entries()) {
    const parsed = parseHost(host);
    if (!parsed.ok) report([...path, "hosts", index], parsed.error);
  }
  const expression = (text: string | undefined, at: Path): void => {
    const parsed = text === undefined ? undefined : parseKey(text);
    if (parsed?.ok === false) report(at, parsed.error);
  };
  const from = flow.from.map(sourceOf);
  expression(flow.key, [...path, "key"]);
  expression(flow.dedup?.by, [...path, "dedup", "by"]);
  checkParameter(flow.key ?? "", from, [...path, "key"], report);
  checkParameter(flow.dedup?.by ?? "", from, [...path, "dedup", "by"], report);
  const to = table<OutletConfig>();
  for (const [name, entry] of Object.entries(flow.to)) {
    const outlet = buildOutlet(entry, [...path, "to", name], flowNames, connectors, report);
    if (outlet !== undefined) to[name] = outlet;
  }
  return {
    flow: flow.flow,
    image,
    canary: canary === undefined ? undefined : { new: canary.new, share: canary.share },
    from,
    to,
    hosts: flow.hosts,
    values: Object.fromEntries(Object.entries(flow.values).map(([name, value]) => [`mayfly-value-${name}`, value])),
    retry: flow.retry,
    onDead: flow.onDead,
    limits: flow.limits,
    weight: flow.weight,
    key: flow.key,
    dedup: flow.dedup === undefined ? undefined : { by: flow.dedup.by, window: flow.dedup.window, count: flow.dedup.count },
    keepCredentials: flow.keepCredentials,
    expires: flow.expires,
    claimCheck: flow.claimCheck,
    concurrency: flow.concurrency,
    queue: flow.queue,
    sleep: { max: flow.sleep.max, atMost: flow.sleep.atMost, early: flow.sleep.early, order: flow.sleep.order },
    signals: buildSignals(flow, path, report),
  };
}

function sourceOf(entry: Readonly<Record<string, unknown>>): SourceConfig {
  const [connector, config] = Object.entries(entry)[0] ?? ["", undefined];
  return { connector, config };
}

/** Parameters of an HTTP source's path, as the source names them. */
function pathParameters({ connector, config }: SourceConfig): readonly string[] {
  return connector === "http" ? pathParametersOf(config as HttpPlace) : [];
}

/** A key by a path parameter that no path has is one that no message has. */
function checkParameter(expression: string, from: readonly SourceConfig[], at: Path, report: Report): void {
  const name = /^path:(.*)$/.exec(expression)?.[1]?.toLowerCase();
  const known = from.flatMap(pathParameters);
  if (name !== undefined && !known.includes(name))
    report(at, `no HTTP source has the path parameter ":${name}"${known.length === 0 ? "" : hint(name, known)}`);
}

function buildSignals({ signals }: CheckedFlow, path: Path, report: Report): Record<string, SignalConfig> {
  const built = table<SignalConfig>();
  for (const [name, { from, key = [] }] of Object.entries(signals)) {
    const at = [...path, "signals", name];
    const sources = from.map(sourceOf).map(toldAtOnce);
    const expressions = typeof key === "string" ? [key] : key;
    for (const [index, expression] of expressions.entries()) {
      const place = typeof key === "string" ? [...at, "key"] : [...at, "key", index];
      const parsed = parseKey(expression);
      if (!parsed.ok) report(place, parsed.error);
      else checkParameter(expression, sources, place, report);
    }
    built[name] = { from: sources, key: expressions };
  }
  return built;
}

/** A signal has no reply: an HTTP source of one answers once it is kept. */
function toldAtOnce({ connector, config }: SourceConfig): SourceConfig {
  return connector === "http" ? { connector, config: { ...(config as object), mode: "accept" } } : { connector, config };
}

function buildOutlet(
  entry: Readonly<Record<string, unknown>>,
  path: Path,
  flowNames: readonly string[],
  { outlets }: Connectors,
  report: Report,
): OutletConfig | undefined {
  const found = Object.keys(entry).filter((key) => outlets.some((outlet) => outlet.name === key));
  const connector = found[0];
  if (connector === undefined || found.length > 1) {
    report(
      path,
      `must have exactly one connector (${outlets.map((outlet) => outlet.name).join(", ")})${found.length > 1 ? `, not ${found.join(" and ")}` : ""}`,
    );
    return undefined;
  }
  const config = entry[connector] as Readonly<Record<string, unknown>> | null;
  const member = connector === "flow" ? "name" : "flow";
  const target = connector === "flow" || connector === "signal" ? config?.[member] : undefined;
  if (typeof target === "string" && !flowNames.includes(target))
    report([...path, connector, member], `unknown flow "${target}"${hint(target, flowNames)}`);
  const ownTimeout = config?.["timeout"];
  return {
    connector,
    config,
    retry: entry["retry"] as RetryConfig,
    onDead: entry["onDead"] as OnDead,
    concurrency: entry["concurrency"] as number,
    rate: entry["rate"] as number | undefined,
    timeout: (entry["timeout"] as number | undefined) ?? (typeof ownTimeout === "number" ? ownTimeout : gatewayLimits.outletTimeoutMs),
    breaker: entry["breaker"] as OutletConfig["breaker"],
  };
}
