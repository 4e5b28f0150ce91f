/**
 * Addresses that connections may be made to. A host that may be reached can be at any address, today or a moment later: so the address is
 * judged that is about to be connected to, and no other lookup follows (DNS rebinding).
 */
import { lookup as resolve, type LookupAddress, type LookupOptions } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";
import { buildConnector } from "undici";
import { CodedError } from "#base";
import { type Address, Networks, parseAddress } from "./addresses.ts";

/** This computer, whatever interface has the address. */
const loopback = new Networks(["0.0.0.0/8", "127.0.0.0/8", "::/127"]);

/** Not global by the IANA's registries of special-purpose addresses, and the one that Azure's hosts have inside every machine. */
const special = new Networks([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "2001::/23", // Teredo among them
  "2001:db8::/32",
  "2002::/16", // 6to4
  "3fff::/20",
]);

/** All of IPv6 that is given out for the internet (RFC 4291, 2.4). */
const unicast = new Networks(["2000::/3"]);

/** `64:ff9b::/96`, which stands for IPv4 addresses (RFC 6052, 2.1), without its last 32 bits. */
const translated = 0x64ff9bn << 64n;

/** The IPv4 address that a translated one stands for. */
function translatedFrom({ width, bits }: Address): string | undefined {
  if (width !== 128 || bits >> 32n !== translated) return undefined;
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 255n).join(".");
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
}

export class Reach {
  readonly #networks: Networks;
  /** Entries of one address. */
  readonly #single: Networks;
  readonly #own: () => readonly string[];

  /**
   * The public internet and `networks`, which `parseNetwork` has checked. Addresses of this computer only where they are named one by one.
   * `own`: those of its interfaces.
   */
  constructor(networks: readonly string[], own: () => readonly string[] = ownAddresses) {
    this.#networks = new Networks(networks);
    this.#single = new Networks(networks.filter((text) => !text.includes("/") || /^[^:]*\/32$|:.*\/128$/.test(text)));
    this.#own = own;
  }

  /** False for what is no address. */
  allows(text: string): boolean {
    const address = parseAddress(text);
    if (address === undefined) return false;
    if (loopback.has(text) || new Networks(this.#own()).has(text)) return this.#single.has(text);
    if (this.#networks.has(text)) return true;
    const inner = translatedFrom(address);
    if (inner !== undefined) return this.allows(inner);
    return !special.has(text) && (address.width === 32 || unicast.has(text));
  }
}

function refusal(host: string): CodedError {
  return new CodedError(
    "MF_ADDRESS_REFUSED",
    `${host} leads to an address inside of the gateway's network, which may not be reached from here: use a host with a public address, or have its network added to \`networks\``,
  );
}

/** Looks a name up, and gives those of its addresses that may be reached. */
function checkedLookup(reach: Reach): LookupFunction {
  return (host, options, callback) => {
    resolve(host, { ...(options as LookupOptions), all: true }, (error, found: readonly LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      const allowed = found.filter(({ address }) => reach.allows(address));
      const [first] = allowed;
      if (first === undefined) return callback(refusal(host), []);
      return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family);
    });
  };
}

/** As undici's own, to addresses that may be reached only. `options`: as Node's tls.connect takes them. */
export function checkedConnector(reach: Reach, options: object): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup: checkedLookup(reach) } as buildConnector.BuildOptions);
  return (target, callback) => {
    // No lookup is made for an address.
    if (isIP(target.hostname) === 0 || reach.allows(target.hostname)) connect(target, callback);
    else callback(refusal(target.hostname), null);
  };
}
