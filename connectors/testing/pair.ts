/** A source and an outlet of one broker, as the conformance suite wants them described. */
import type { OutletDefinition } from "../../gateway/contract/outlet.ts";
import type { SourceDefinition } from "../../gateway/contract/source.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ConnectorCase {
  readonly name: string;
  // Configurations are made by the case itself and checked against the schema: their type does not matter here.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly source: SourceDefinition<any>;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly outlet: OutletDefinition<any>;
  readonly broker: Address;
  /** Port of the proxy, for a broker that tells its clients which port to connect to. */
  readonly proxyPort?: number;
  /** Raw configurations for the queue, subject, stream or table `place`, reached over `at`. */
  readonly sourceConfig: (at: Address, place: string) => Readonly<Record<string, unknown>>;
  readonly outletConfig: (at: Address, place: string) => Readonly<Record<string, unknown>>;
  /** Makes the place; `missing` tests run without it. */
  readonly make: (place: string) => Promise<void>;
  readonly remove: (place: string) => Promise<void>;
  /** Code for wrong credentials, and the change of the configuration that makes them wrong. */
  readonly badLogin: { readonly code: string; readonly change: Readonly<Record<string, unknown>> } | undefined;
  /** Code for a missing place; undefined when the broker makes places as they are named. */
  readonly missing: { readonly source: string; readonly outlet: string | undefined } | undefined;
  /** False for NATS core, which forgets a message once it has handed it out. */
  readonly keeps: boolean;
  /** False where a message in transit over a cut connection comes again only later, behind others. */
  readonly ordersThroughCuts: boolean;
  /** True when a message the broker gives again is marked as such. */
  readonly marksRedelivery: boolean;
  /** True when source and outlet speak the broker's request/reply. */
  readonly replies: boolean;
  readonly largestBodyBytes: number;
  /** Makes a silent broker show within a second or two. */
  readonly quickHeartbeat: Readonly<Record<string, unknown>>;
  /** Undefined when ids don't survive the way (MQTT has them as a header only, and so on): the suite then leaves them out. */
  readonly carriesId: boolean;
}
