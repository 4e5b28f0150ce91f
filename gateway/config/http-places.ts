/** HTTP sources of all flows together: routes that two of them have, certificates without an authority, operations without a flow. */
import { resolve } from "node:path";
import { approvalPath } from "../approvals/links.ts";
import type { FlowConfig, SourceConfig } from "../contract/config.ts";
import type { AuthConfig } from "../contract/http/authentication.ts";
import { type CorsConfig, corsProblem } from "../contract/http/cors.ts";
import { type HttpPlace, pageOf, routesOf } from "../contract/http/routes.ts";
import type { Path, Report } from "./problem.ts";

/** Every operation of a contract has a flow, unless a source says that it serves a part. */
export function checkContracts(flows: Readonly<Record<string, FlowConfig>>, base: string, report: Report): void {
  const served = new Map<string, { readonly ids: Set<string>; readonly all: readonly string[]; readonly at: Path; partial: boolean }>();
  for (const [name, flow] of Object.entries(flows))
    for (const { config, at } of httpSources(name, flow)) {
      const { contract, partial = false } = config as HttpPlace;
      if (contract === undefined) continue;
      const file = resolve(base, contract.file);
      const known = served.get(file) ?? { ids: new Set(), all: contract.all, at, partial: false };
      served.set(file, known);
      for (const { id } of contract.operations) known.ids.add(id);
      known.partial ||= partial;
    }
  for (const { ids, all, at, partial } of served.values()) {
    const left = all.filter((id) => !ids.has(id));
    if (left.length === 0 || partial) continue;
    const names = `${left.slice(0, 10).join(", ")}${left.length > 10 ? ", …" : ""}`;
    const [code, message] = [
      "MF_CONTRACT_UNSERVED",
      `no flow has the operation${left.length > 1 ? "s" : ""} ${names} of the contract: add a source with \`operation\`, or \`partial: true\` here to leave them out`,
    ];
    report([...at, "http", "operation"], message, undefined, code);
  }
}

/** The document of contracts has its paths for itself. */
export function checkDocument(flows: Readonly<Record<string, FlowConfig>>, document: string, report: Report): void {
  const all = Object.entries(flows).flatMap(([name, flow]) => httpSources(name, flow));
  if (document === "off" || !all.some(({ config }) => (config as HttpPlace).contract !== undefined)) return;
  const paths = [document, pageOf(document)];
  for (const { config, at } of all)
    for (const { method, path } of routesOf(config as HttpPlace))
      if (method === "GET" && paths.includes(path))
        report(
          [...at, "http", (config as HttpPlace).contract === undefined ? "path" : "openapi"],
          `GET ${path} is taken by the document of the contracts and its page: set http.openapi to another path, or to off`,
        );
}

/** Two HTTP sources can't have one method and path, and none is below the gateway's own pages. */
export function checkRoutes(flows: Readonly<Record<string, FlowConfig>>, hasApprovals: boolean, report: Report): void {
  const taken = new Map<string, string>();
  for (const [name, flow] of Object.entries(flows)) {
    for (const { config, owner, at } of httpSources(name, flow)) {
      const place = config as HttpPlace & { readonly cors?: CorsConfig };
      const { cors } = place;
      const setting = place.contract === undefined ? "path" : "openapi";
      const corsWrong = cors === undefined ? undefined : corsProblem(cors);
      if (corsWrong !== undefined) report([...at, "http", "cors", "origins"], corsWrong);
      for (const { method, path } of routesOf(place)) {
        if (hasApprovals && path.startsWith(approvalPath))
          report([...at, "http", setting], `${path} is taken: ${approvalPath} has the pages of \`approvals\``);
        const route = `${method} ${path.replace(/::/g, "%3A").replace(/:[^/]+/g, ":")}`;
        const other = taken.get(route);
        if (other !== undefined) report([...at, "http", setting], `${method} ${path} is taken by flows.${other}`);
        taken.set(route, owner);
      }
    }
  }
}

/** Without an authority no certificate of a caller is good. */
export function checkClientCertificates(flows: Readonly<Record<string, FlowConfig>>, report: Report): void {
  for (const [name, flow] of Object.entries(flows))
    for (const { config, at } of httpSources(name, flow)) {
      const { auth = [] } = config as { readonly auth?: AuthConfig };
      if ([auth].flat().some((way) => way.mtls !== undefined))
        report([...at, "http", "auth"], "mtls needs the authorities of callers' certificates: set http.tls.clientCa");
    }
}

interface PlacedHttp {
  readonly config: unknown;
  /** `orders`, or `orders.signals.payment`. */
  readonly owner: string;
  readonly at: Path;
}

/** The flow's HTTP sources and those of its signals. */
function httpSources(name: string, flow: FlowConfig): PlacedHttp[] {
  const of = (from: readonly SourceConfig[], owner: string, at: Path): PlacedHttp[] =>
    from.flatMap(({ connector, config }, index) => (connector === "http" ? [{ config, owner, at: [...at, "from", index] }] : []));
  const signals = Object.entries(flow.signals);
  return [
    ...of(flow.from, name, ["flows", name]),
    ...signals.flatMap(([signal, { from }]) => of(from, `${name}.signals.${signal}`, ["flows", name, "signals", signal])),
  ];
}
