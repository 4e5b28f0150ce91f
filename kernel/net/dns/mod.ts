/** The DNS client: names.ts's `resolve`, over whatever carries datagrams. */
export { knownNames } from "./limits";
export { carryQueries, dnsDue, expectsDns, receiveDns, resolve, runDns } from "./lookups";
