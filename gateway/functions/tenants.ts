/** Tenants: who may deploy, and how much. Without `tenants:` there is one, without a name, and only the operator acts for it. */
import { createHash, timingSafeEqual } from "node:crypto";
import { CodedError } from "#base";
import type { Ceilings } from "../contract/config.ts";
import type { HostPattern } from "../contract/hosts.ts";
import type { Quota } from "../contract/units.ts";
import { functionLimits } from "./limits.ts";

export const scopes = ["deploy", "read", "invoke", "secrets"] as const;
export type Scope = (typeof scopes)[number];

export interface TenantKey {
  readonly name: string;
  /** SHA-256 of the key. */
  readonly hash: Uint8Array;
  readonly scopes: readonly Scope[];
}

/** Bytes that a tenant may keep. */
export interface TenantKeeps {
  /** Of the state of its functions. */
  readonly state: number;
  /** Of messages, sleepers, sends and signals that wait. */
  readonly messages: number;
  readonly deadLetters: number;
  /** Recorded in history, a day (UTC). */
  readonly history: number;
  /** Of images on disk. */
  readonly images: number;
}

const unbounded: TenantKeeps = {
  state: Number.POSITIVE_INFINITY,
  messages: Number.POSITIVE_INFINITY,
  deadLetters: Number.POSITIVE_INFINITY,
  history: Number.POSITIVE_INFINITY,
  images: Number.POSITIVE_INFINITY,
};

export interface Tenant {
  /** Empty without tenants. */
  readonly name: string;
  /** Paths of its functions begin with it: `/acme`; empty without tenants. */
  readonly prefix: string;
  readonly keys: readonly TenantKey[];
  /** Upper bounds of every function's limits. */
  readonly limits: Ceilings;
  readonly functions: number;
  readonly deploys: Quota;
  /** Undefined: no bound but the gateway's. */
  readonly requests: Quota | undefined;
  /** CPU time a day (UTC), in milliseconds. */
  readonly cpuMs: number | undefined;
  /** Messages of all its functions that are queued, running or waiting for a retry. */
  readonly queue: number;
  readonly keeps: TenantKeeps;
  readonly weight: number;
  /** The monitor that runs its machines; undefined: the gateway's own. */
  readonly monitor: string | undefined;
  /** Connectors that it may use; undefined: all. */
  readonly sources: readonly string[] | undefined;
  readonly outlets: readonly string[] | undefined;
  /** Hosts that its functions may reach; undefined: all. */
  readonly hosts: readonly HostPattern[] | undefined;
  /** Networks that they may be in, besides the public internet; undefined: any. */
  readonly networks: readonly string[] | undefined;
}

/** True where functions of the two may do the same. */
export function maySame(a: Tenant | undefined, b: Tenant | undefined): boolean {
  const rules = (tenant: Tenant | undefined): string => JSON.stringify(tenant === undefined ? null : { ...tenant, keys: [] });
  return rules(a) === rules(b);
}

/** The sender of a request: the operator, or a tenant's key. */
export interface Principal {
  /** Undefined: the operator, who may act for every tenant. */
  readonly tenant: string | undefined;
  /** Name of the key; `operator`. */
  readonly by: string;
  readonly scopes: readonly Scope[];
}

export const operator: Principal = { tenant: undefined, by: "operator", scopes };

export function keyHash(key: string): Uint8Array {
  return createHash("sha256").update(key).digest();
}

export class Tenants {
  /** True without tenants.yaml. */
  readonly single: boolean;
  readonly #tenants: ReadonlyMap<string, Tenant>;

  constructor(tenants: readonly Tenant[], single: boolean) {
    this.#tenants = new Map(tenants.map((tenant) => [tenant.name, tenant]));
    this.single = single;
  }

  get names(): readonly string[] {
    return [...this.#tenants.keys()];
  }

  get(name: string): Tenant | undefined {
    return this.#tenants.get(name);
  }

  /** Throws MF_TENANT_UNKNOWN. */
  need(name: string): Tenant {
    const tenant = this.#tenants.get(name);
    if (tenant !== undefined) return tenant;
    throw new CodedError(
      "MF_TENANT_UNKNOWN",
      name === ""
        ? "name the tenant with --tenant: there are several"
        : `there is no tenant ${JSON.stringify(name.slice(0, 64))}: add it to the file of tenants`,
    );
  }

  /** The owner of a key; undefined for an unknown one. Every key is compared, in constant time each. */
  ofKey(key: string): Principal | undefined {
    const hash = keyHash(key);
    let found: Principal | undefined;
    for (const tenant of this.#tenants.values())
      for (const each of tenant.keys)
        if (timingSafeEqual(each.hash, hash)) found = { tenant: tenant.name, by: each.name, scopes: each.scopes };
    return found;
  }

  /** The tenant that a request acts for. `asked`: the tenant that it names. Throws MF_TENANT_DENIED, MF_TENANT_UNKNOWN. */
  actsFor(principal: Principal, asked: string | undefined): Tenant {
    if (principal.tenant === undefined) return this.need(asked ?? "");
    if (asked !== undefined && asked !== principal.tenant)
      throw new CodedError("MF_TENANT_DENIED", "the key is of another tenant: leave --tenant out, or use a key of that tenant");
    return this.need(principal.tenant);
  }
}

/** Without tenants: bounded by what mayfly.yaml allows every flow. */
export function onlyTenant(ceilings: Ceilings): Tenants {
  const tenant: Tenant = {
    name: "",
    prefix: "",
    keys: [],
    limits: ceilings,
    functions: functionLimits.functions,
    deploys: functionLimits.deploys,
    requests: undefined,
    cpuMs: undefined,
    queue: Number.POSITIVE_INFINITY,
    keeps: unbounded,
    weight: 1,
    monitor: undefined,
    sources: undefined,
    outlets: undefined,
    hosts: undefined,
    networks: undefined,
  };
  return new Tenants([tenant], true);
}
