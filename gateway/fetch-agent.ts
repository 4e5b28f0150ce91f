/** Connections of flows' `fetch`: to the servers themselves, or through a proxy. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Dispatcher } from "undici";
import { CodedError } from "#base";
import type { GatewayConfig } from "./contract/config.ts";
import { newAgent, newProxyAgent } from "./contract/http/exchange.ts";
import { Reach } from "./contract/http/reach.ts";
import { gatewayLimits } from "./contract/limits.ts";

const { outletConcurrency } = gatewayLimits;

export class FetchAgents {
  /** Of the flows of mayfly.yaml. */
  readonly own: Dispatcher;
  readonly #tls: { readonly ca?: string };
  readonly #checked = new Map<string, { readonly agent: Dispatcher; readonly reach: Reach }>();

  /** Throws MF_TLS_FILE, MF_URL_INVALID. */
  constructor({ fetch: { proxy, ca, networks }, base }: Pick<GatewayConfig, "fetch" | "base">) {
    if (proxy !== undefined && !URL.canParse(proxy))
      throw new CodedError("MF_URL_INVALID", "fetch.proxy is not a URL: write one such as http://proxy.example.com:3128");
    this.#tls = ca === undefined ? {} : { ca: readAuthorities(resolve(base, ca)) };
    const reach = networks === undefined ? undefined : new Reach(networks);
    this.own = proxy === undefined ? newAgent(outletConcurrency, this.#tls, reach) : newProxyAgent(outletConcurrency, proxy, this.#tls);
  }

  /**
   * Connections to the public internet and `networks`, apart from those to other networks: a pooled one is used by whoever may make it. Never
   * through a proxy, which would choose the address.
   */
  to(networks: readonly string[]): { readonly agent: Dispatcher; readonly reach: Reach } {
    const key = networks.join(" ");
    const known = this.#checked.get(key);
    if (known !== undefined) return known;
    const reach = new Reach(networks);
    const made = { agent: newAgent(outletConcurrency, this.#tls, reach), reach };
    this.#checked.set(key, made);
    return made;
  }

  async destroy(): Promise<void> {
    await Promise.all([this.own, ...[...this.#checked.values()].map(({ agent }) => agent)].map((agent) => agent.destroy()));
  }
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new CodedError("MF_TLS_FILE", `cannot read ${file}: check fetch.ca`, { cause });
  }
}
