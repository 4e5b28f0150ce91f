/** The endpoints of functions, beside those of operators: openapi.ts describes them. */
import { assert, CodedError, fromUtf8 } from "#base";
import type { GatewayMemory } from "../contract/memory.ts";
import type { Headers, Outcome } from "../contract/message.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { ReportUnexpected } from "../contract/unexpected.ts";
import { outcomeJson } from "../http/admin.ts";
import { type Access, messageHeaders } from "../http/guard.ts";
import type { Changed, Changer, Functions } from "./functions.ts";
import { type Asked, type FunctionAnswer, guarded, type GuardPorts, type Rule } from "./guard.ts";
import { functionLimits } from "./limits.ts";
import { functionsDocument } from "./openapi.ts";
import { type FunctionRecord, keyOf } from "./records.ts";
import type { ShownFunction, TenantUsage } from "./shown.ts";
import type { Tenant } from "./tenants.ts";
import type { Workshop } from "./workshop.ts";

export interface FunctionsEndpoints {
  readonly functions: Functions;
  readonly memory: GatewayMemory;
  readonly unexpected: ReportUnexpected;
  /** `http://127.0.0.1:8080`, where functions are called. */
  readonly publicUrl: () => string;
  readonly inject: (
    flow: string,
    message: { readonly headers: Headers; readonly contentType: string; readonly body: Uint8Array; readonly wait: boolean },
  ) => Promise<Outcome>;
}

const imageName = /^sha256:([0-9a-f]{64})$/;

function invalid(detail: string): CodedError {
  return new CodedError("MF_REQUEST_INVALID", detail);
}

/** The members of a JSON body. Throws MF_REQUEST_INVALID for others than `known`. */
function fieldsOf(body: Uint8Array, known: readonly string[]): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(body));
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`the body must be a JSON object with ${known.join(", ")}`);
  const other = Object.keys(value).find((key) => !known.includes(key));
  if (other !== undefined)
    throw invalid(`the body has the unknown member ${JSON.stringify(other.slice(0, 64))}: it may have ${known.join(", ")}`);
  return value as Readonly<Record<string, unknown>>;
}

function shareOf(value: unknown): number {
  if (typeof value === "number" && value > 0 && value < 1) return value;
  throw invalid("the share must be a number between 0 and 1, such as 0.05");
}

function versionText(value: unknown): string {
  if (typeof value === "number" || typeof value === "string") return String(value);
  throw invalid("version must be the number of a version, or an alias");
}

function imageOf(value: unknown): string {
  const [, sha256] = imageName.exec(String(value)) ?? [];
  if (sha256 === undefined) throw invalid("name an image as sha256: and 64 hexadecimal digits");
  return sha256;
}

/** The revision that a change is made for. */
function revisionOf({ headers }: Asked["request"]): number | undefined {
  if (headers["if-none-match"] === "*") return 0;
  const text = headers["if-match"];
  if (text === undefined) return undefined;
  const [, revision] = /^"(\d{1,16})"$/.exec(text) ?? [];
  if (revision === undefined) throw invalid('If-Match must be the ETag of the function, such as "1764518400000"');
  return Number(revision);
}

class Endpoints {
  readonly #ports: FunctionsEndpoints;

  constructor(ports: FunctionsEndpoints) {
    this.#ports = ports;
  }

  tenantOf({ principal, query }: Asked): Tenant {
    return this.#ports.functions.tenants.actsFor(principal, query.get("tenant"));
  }

  changerOf(asked: Asked): Changer {
    return {
      tenant: this.tenantOf(asked),
      name: asked.parameters["name"] ?? "",
      by: asked.principal.by,
      revision: revisionOf(asked.request),
    };
  }

  shown(tenant: Tenant, name: string, record: FunctionRecord): ShownFunction {
    const { revision, live, canary, aliases, versions, paths } = record;
    return {
      name,
      tenant: tenant.name === "" ? null : tenant.name,
      urls: paths.map((path) => this.#ports.publicUrl() + path),
      revision,
      live,
      canary,
      aliases,
      versions: versions.map(({ image, ...version }) => ({ ...version, image: `sha256:${image}` })),
      served: this.#ports.functions.isServed({ tenant: tenant.name, name }),
    };
  }

  changed({ tenant, name }: Changer, { record, isNew }: Changed): FunctionAnswer {
    return { status: isNew ? 201 : 200, value: this.shown(tenant, name, record), headers: { etag: `"${record.revision}"` } };
  }

  async list(asked: Asked): Promise<FunctionAnswer> {
    const tenant = this.tenantOf(asked);
    const after = asked.query.get("after") ?? "";
    const all = this.#ports.functions.deployed.list(tenant.name).filter(({ name }) => name > after);
    const page = all.slice(0, functionLimits.listed);
    const next = all.length > page.length ? page.at(-1)?.name : null;
    return { status: 200, value: { functions: page.map(({ name, record }) => this.shown(tenant, name, record)), next } };
  }

  async show(asked: Asked): Promise<FunctionAnswer> {
    const changer = this.changerOf(asked);
    const record = this.#ports.functions.deployed.need({ tenant: changer.tenant.name, name: changer.name });
    return this.changed(changer, { record, isNew: false });
  }

  async deploy(asked: Asked): Promise<FunctionAnswer> {
    const changer = this.changerOf(asked);
    const { image, fragment = "", canary } = fieldsOf(asked.body, ["image", "fragment", "canary"]);
    if (typeof fragment !== "string") throw invalid("fragment must be the text of NAME.mayfly.yaml");
    const deploy = { image: imageOf(image), fragment, canary: canary === undefined ? undefined : shareOf(canary) };
    return this.changed(changer, await this.#ports.functions.deploy(changer, deploy));
  }

  async remove(asked: Asked): Promise<FunctionAnswer> {
    await this.#ports.functions.remove(this.changerOf(asked));
    return { status: 200, value: { removed: true } };
  }

  async activate(asked: Asked): Promise<FunctionAnswer> {
    const changer = this.changerOf(asked);
    const { version } = fieldsOf(asked.body, ["version"]);
    return this.changed(changer, await this.#ports.functions.activate(changer, versionText(version)));
  }

  async canary(asked: Asked): Promise<FunctionAnswer> {
    const changer = this.changerOf(asked);
    const { version, share } = fieldsOf(asked.body, ["version", "share"]);
    return this.changed(changer, await this.#ports.functions.canary(changer, { version: versionText(version), share: shareOf(share) }));
  }

  async endCanary(asked: Asked): Promise<FunctionAnswer> {
    const changer = this.changerOf(asked);
    return this.changed(changer, await this.#ports.functions.canary(changer, undefined));
  }

  async alias(asked: Asked): Promise<FunctionAnswer> {
    const changer = this.changerOf(asked);
    const version = asked.request.method === "DELETE" ? undefined : versionText(fieldsOf(asked.body, ["version"])["version"]);
    return this.changed(changer, await this.#ports.functions.alias(changer, asked.parameters["alias"] ?? "", version));
  }

  async logs(asked: Asked): Promise<FunctionAnswer> {
    const { tenant, name } = this.changerOf(asked);
    const own = { tenant: tenant.name, name };
    this.#ports.functions.deployed.need(own);
    const lines = this.#ports.functions.logs.read(keyOf(own), Number(asked.query.get("after") ?? 0));
    return { status: 200, value: { lines } };
  }

  async invoke(asked: Asked): Promise<FunctionAnswer> {
    const { tenant, name } = this.changerOf(asked);
    const flow = await this.#ports.functions.wake(tenant, name);
    const { request, body } = asked;
    const message = { headers: messageHeaders(request), contentType: request.headers["content-type"] ?? "", body, wait: true };
    const outcome = await this.#ports.inject(flow, message);
    return { status: outcome.status === "refused" ? 503 : 200, value: outcomeJson(outcome) };
  }

  async build(asked: Asked): Promise<FunctionAnswer> {
    const { tenant, name } = this.changerOf(asked);
    const { image, facts } = await this.#workshop.build(tenant, name, fromUtf8(asked.body));
    return { status: 201, value: { image: `sha256:${image}`, outlets: facts.outlets ?? null, limits: facts.limits } };
  }

  async try(asked: Asked): Promise<FunctionAnswer> {
    const { image, body = "", contentType = "" } = fieldsOf(asked.body, ["image", "body", "contentType"]);
    if (typeof body !== "string" || typeof contentType !== "string") throw invalid("body and contentType must be texts");
    return { status: 200, value: await this.#workshop.run(this.tenantOf(asked), imageOf(image), { body, contentType }) };
  }

  get #workshop(): Workshop {
    const { workshop } = this.#ports.functions;
    assert(workshop !== undefined, "routes of a workshop are there with it");
    return workshop;
  }

  async hasImage(asked: Asked): Promise<FunctionAnswer> {
    const has = this.#ports.functions.uploads.has(this.tenantOf(asked).name, imageOf(asked.parameters["image"]));
    return has ? { status: 200, value: {} } : { status: 404, value: { code: "MF_NOT_FOUND" } };
  }

  async putImage(asked: Asked): Promise<FunctionAnswer> {
    const tenant = this.tenantOf(asked);
    const sha256 = imageOf(asked.parameters["image"]);
    const { outlets = null, limits } = await this.#ports.functions.putImage(tenant, sha256, asked.body);
    return { status: 201, value: { image: `sha256:${sha256}`, outlets, limits } };
  }

  async secrets(asked: Asked): Promise<FunctionAnswer> {
    return { status: 200, value: { secrets: this.#ports.functions.secrets.list(this.tenantOf(asked).name) } };
  }

  async setSecret(asked: Asked): Promise<FunctionAnswer> {
    const tenant = this.tenantOf(asked);
    const name = asked.parameters["secret"] ?? "";
    await this.#ports.functions.setSecret(tenant, name, fromUtf8(asked.body));
    return { status: 200, value: { secret: name, set: true } };
  }

  async removeSecret(asked: Asked): Promise<FunctionAnswer> {
    const tenant = this.tenantOf(asked);
    const name = asked.parameters["secret"] ?? "";
    await this.#ports.functions.setSecret(tenant, name, undefined);
    return { status: 200, value: { secret: name, removed: true } };
  }

  /** Of one tenant; the operator sees all. */
  async usage(asked: Asked): Promise<FunctionAnswer> {
    const { tenants } = this.#ports.functions;
    const seesAll = asked.principal.tenant === undefined && !asked.query.has("tenant");
    const shown = seesAll ? tenants.names.map((name) => tenants.need(name)) : [this.tenantOf(asked)];
    return { status: 200, value: { tenants: await Promise.all(shown.map((tenant) => this.#usageOf(tenant))) } };
  }

  async #usageOf(tenant: Tenant): Promise<TenantUsage> {
    const { functions } = this.#ports;
    const { name, requests = null, cpuMs = null } = tenant;
    const quotas = { functions: tenant.functions, requests, cpuMs, deploys: tenant.deploys, kept: name === "" ? null : tenant.keeps };
    const { history = 0, ...usage } = functions.quotas.usage(name);
    const kept = name === "" ? null : { ...functions.keptBy(name), history, images: await functions.uploads.bytesOf(name) };
    const full = functions.quotas.isFull(tenant) ?? null;
    return { tenant: name === "" ? null : name, ...usage, functions: functions.deployed.count(name), quotas, kept, full };
  }
}

/** Adds the endpoints to an admin listener. */
export function addFunctions(routes: HttpRoutes, ports: FunctionsEndpoints, access: Access): void {
  const { functions, memory, unexpected } = ports;
  const endpoints = new Endpoints(ports);
  const guard: GuardPorts = { access, memory, tenants: () => functions.tenants, unexpected };
  const add = (method: string, path: string, rule: Rule, answer: (asked: Asked) => Promise<FunctionAnswer>): void =>
    void routes.add(method, path, guarded(guard, rule, answer));
  const read: Rule = { scope: "read" };
  const deploy: Rule = { scope: "deploy" };
  const line = { pattern: /^\d{1,15}$/, says: "the number of a line" };
  const name = { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/, says: "the `next` of the page before" };
  add("GET", "/api/functions", { ...read, known: { after: name } }, (asked) => endpoints.list(asked));
  add("GET", "/api/functions/:name", read, (asked) => endpoints.show(asked));
  add("PUT", "/api/functions/:name", deploy, (asked) => endpoints.deploy(asked));
  add("DELETE", "/api/functions/:name", deploy, (asked) => endpoints.remove(asked));
  add("PUT", "/api/functions/:name/live", deploy, (asked) => endpoints.activate(asked));
  add("PUT", "/api/functions/:name/canary", deploy, (asked) => endpoints.canary(asked));
  add("DELETE", "/api/functions/:name/canary", deploy, (asked) => endpoints.endCanary(asked));
  for (const method of ["PUT", "DELETE"]) add(method, "/api/functions/:name/aliases/:alias", deploy, (asked) => endpoints.alias(asked));
  add("GET", "/api/functions/:name/logs", { ...read, known: { after: line } }, (asked) => endpoints.logs(asked));
  const invoke: Rule = { scope: "invoke", bodyBytes: gatewayLimits.httpBodyBytes };
  add("POST", "/api/functions/:name/invoke", invoke, (asked) => endpoints.invoke(asked));
  if (functions.workshop !== undefined) {
    const built: Rule = { ...deploy, bodyBytes: functionLimits.codeBytes, otherwise: 422 };
    add("POST", "/api/functions/:name/build", built, (asked) => endpoints.build(asked));
    const tried: Rule = { ...deploy, bodyBytes: functionLimits.trialBytes, otherwise: 422 };
    add("POST", "/api/functions/:name/try", tried, (asked) => endpoints.try(asked));
  }
  add("HEAD", "/api/images/:image", deploy, (asked) => endpoints.hasImage(asked));
  add("PUT", "/api/images/:image", { ...deploy, bodyBytes: functionLimits.imageBytes }, (asked) => endpoints.putImage(asked));
  add("GET", "/api/secrets", { scope: "secrets" }, (asked) => endpoints.secrets(asked));
  add("PUT", "/api/secrets/:secret", { scope: "secrets" }, (asked) => endpoints.setSecret(asked));
  add("DELETE", "/api/secrets/:secret", { scope: "secrets" }, (asked) => endpoints.removeSecret(asked));
  add("GET", "/api/usage", read, (asked) => endpoints.usage(asked));
  add("GET", "/api/openapi.json", read, async () => ({ status: 200, value: functionsDocument() }));
}
