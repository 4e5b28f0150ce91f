/** Connections of flows' `fetch`: to the servers themselves, or through a proxy. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Dispatcher } from "undici";
import { CodedError } from "#base";
import type { GatewayConfig } from "./contract/config.ts";
import { newAgent, newProxyAgent } from "./contract/http/exchange.ts";
import { gatewayLimits } from "./contract/limits.ts";

/** Throws MF_TLS_FILE, MF_URL_INVALID. */
export function fetchAgent({ fetch: { proxy, ca }, base }: Pick<GatewayConfig, "fetch" | "base">): Dispatcher {
  if (proxy !== undefined && !URL.canParse(proxy))
    throw new CodedError("MF_URL_INVALID", "fetch.proxy is not a URL: write one such as http://proxy.example.com:3128");
  const tls = ca === undefined ? {} : { ca: readAuthorities(resolve(base, ca)) };
  const { outletConcurrency } = gatewayLimits;
  return proxy === undefined ? newAgent(outletConcurrency, tls) : newProxyAgent(outletConcurrency, proxy, tls);
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new CodedError("MF_TLS_FILE", `cannot read ${file}: check fetch.ca`, { cause });
  }
}
