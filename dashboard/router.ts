/** Every screen has an address in the hash: `#/messages?flow=orders`, `#/flows/orders`. */
import { computed, signal } from "@preact/signals";

export interface Route {
  /** Decoded parts: `["messages", "orders", "mf-1"]`. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

function read(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map(decode);
  return { parts: parts.length === 0 ? ["overview"] : parts, query: new URLSearchParams(query) };
}

export const route = signal<Route>(read());
export const screen = computed(() => route.value.parts[0] ?? "overview");
addEventListener("hashchange", () => (route.value = read()));

export function href(parts: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "");
  const search = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}

export function go(address: string): void {
  location.hash = address;
}

/** Changes the address without an entry in the history, for a form that is being filled in. */
export function replace(address: string): void {
  history.replaceState(null, "", address);
  route.value = read();
}

export const messageHref = (flow: string, id: string): string => href(["messages", flow, id]);
export const sleeperHref = (flow: string, id: string): string => href(["sleepers", flow, id]);
export const flowHref = (flow: string): string => href(["flows", flow]);
export const functionHref = (name: string, tenant: string | null): string => href(["functions", name], { tenant: tenant ?? undefined });
/** Endpoints of functions; `tenant`: whom the operator acts for. */
export function functionsPath(
  parts: readonly string[],
  tenant: string | null,
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  return `/api${href(["functions", ...parts], { tenant: tenant ?? undefined, ...query }).slice(1)}`;
}
export const letterHref = (id: string): string => href(["dead-letters", ...id.split("/")]);
