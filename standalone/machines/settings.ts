/** Settings of a microVM: config.json, which its network module reads at start (kernel/net/service/settings.ts). */
import type { Service } from "#abi";
import { CodedError } from "#base";
import { standaloneLimits } from "../limits.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface NetworkSettings {
  /** `10.0.2.15/24` */
  readonly address?: string;
  readonly gateway?: string;
  readonly dns?: string;
}

/** The file of `--config`: its settings count before those of the environment. */
export interface ConfigFile {
  readonly settings: Readonly<Record<string, string>>;
  readonly network?: NetworkSettings;
}

const reference = /\$?\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}/g;

/** Names of the settings that a service refers to, and whether it can do without. */
export function settingsOf(service: Service): ReadonlyMap<string, { readonly optional: boolean }> {
  const found = new Map<string, { readonly optional: boolean }>();
  const look = (value: unknown): void => {
    if (typeof value === "string") {
      for (const [whole, name = "", fallback] of value.matchAll(reference))
        if (!whole.startsWith("$$")) found.set(name, { optional: fallback !== undefined && found.get(name)?.optional !== false });
    } else if (typeof value === "object" && value !== null) for (const each of Object.values(value)) look(each);
  };
  look([service.auth, service.flows.map(({ outlets, values }) => [outlets, values]), service.syslog]);
  return found;
}

function unusable(path: string, why: string): CodedError {
  return new CodedError(
    "MF_MICROVM_CONFIG",
    `${path} ${why}: it is {"settings": {"NAME": "text"}, "network": {"address": "10.0.2.15/24", "gateway": …, "dns": …}}`,
  );
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every((each) => typeof each === "string")
  );
}

const networkMembers = ["address", "gateway", "dns"];

/** Throws MF_MICROVM_CONFIG. */
export function readConfigFile(text: string, path: string): ConfigFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unusable(path, `is not JSON (${(error as Error).message})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unusable(path, "is not an object");
  const { settings = {}, network, ...rest } = value as { readonly settings?: unknown; readonly network?: unknown };
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw unusable(path, `has an unknown member ${JSON.stringify(unknown)}`);
  if (!isTexts(settings)) throw unusable(path, "has settings that are not texts");
  if (network !== undefined && !(isTexts(network) && Object.keys(network).every((name) => networkMembers.includes(name))))
    throw unusable(path, "has a network that is not an address, a gateway and a DNS server");
  if (network !== undefined && (network as NetworkSettings).address === undefined) throw unusable(path, "has a network without an address");
  return { settings, ...(network === undefined ? {} : { network: network as NetworkSettings }) };
}

function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(reference, (whole: string, name: string, fallback: string | undefined) => {
    if (whole.startsWith("$$")) return whole;
    const value = values[name];
    return value === undefined || (value === "" && fallback !== undefined) ? (fallback?.slice(2) ?? "") : value;
  });
}

/** A URL that only its settings tell is looked at here, where the answer is still an error and no failed message. */
function checkUrls({ flows, auth }: Service, values: Readonly<Record<string, string>>): void {
  const outlets = flows.flatMap((flow) => flow.outlets.filter(({ port }) => port === 0));
  const places = [
    ...outlets.map(({ name, host }) => ({ what: `the outlet "${name}"`, url: filled(host, values) })),
    ...auth.flat().flatMap(({ type, secret }) => (type === "jwt" ? [{ what: "jwks", url: filled(secret, values) }] : [])),
  ];
  for (const { what, url } of places) {
    if (/^https:/i.test(url))
      throw new CodedError(
        "MF_STANDALONE_HTTPS",
        `the settings give ${what} an https URL: a microVM does no TLS. Name a proxy that does, as http://proxy:port/path, and let it lead to the server`,
      );
    if (!/^http:\/\//i.test(url) || !URL.canParse(url))
      throw new CodedError("MF_MICROVM_CONFIG", `the settings give ${what} no URL: it must be like http://erp:8000/orders`);
  }
}

/** Addresses in QEMU's user networking (QEMU's manual, "Using the user mode network stack"): no need to ask DHCP for them. */
export const userNetwork: NetworkSettings = { address: "10.0.2.15/24", gateway: "10.0.2.2", dns: "10.0.2.3" };

/** The text of config.json. Throws MF_MICROVM_SETTING for settings that are missing, MF_MICROVM_CONFIG, MF_STANDALONE_HTTPS. */
export function configText(service: Service, file: ConfigFile, environment: Environment): string {
  const values: Record<string, string> = {};
  const missing: string[] = [];
  for (const [name, { optional }] of settingsOf(service)) {
    const value = Object.hasOwn(file.settings, name) ? file.settings[name] : environment[name];
    if (value !== undefined) values[name] = value;
    else if (!optional) missing.push(name);
  }
  if (missing.length > 0)
    throw new CodedError(
      "MF_MICROVM_SETTING",
      `the service needs ${missing.join(", ")}: set ${missing.length === 1 ? "it" : "them"} in the environment, or in the "settings" of a file for --config`,
    );
  checkUrls(service, values);
  const text = JSON.stringify({ settings: values, ...(file.network === undefined ? {} : { network: file.network }) });
  const tooLong = Object.values(values).some((value) => Buffer.byteLength(value) > standaloneLimits.settingBytes);
  if (tooLong || Object.keys(values).length > standaloneLimits.settings || Buffer.byteLength(text) > standaloneLimits.configBytes)
    throw new CodedError(
      "MF_MICROVM_CONFIG",
      "the settings are too long for a microVM: they are names, addresses and secrets, no documents",
    );
  return text;
}
