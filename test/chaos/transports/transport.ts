/** Interface of a transport: its part of mayfly.yaml, the prober's end, the receiver's end, and the faults it can have. */
import type { PrivateBroker } from "../../../connectors/testing/brokers.ts";
import type { Proxy } from "../../../connectors/testing/proxy.ts";
import type { LaneTraits } from "../ledger.ts";
import type { Probe } from "../message.ts";

/** One flow with its source, fed by one prober. */
export interface Lane extends LaneTraits {
  /** Also the flow's name. */
  readonly name: string;
  /** The sender waits for the reply: it is the one who tries again. */
  readonly waits: boolean;
  /** The entry of `from`. */
  readonly from: Readonly<Record<string, unknown>>;
  /** Other lanes that something arrives on for each of its messages. */
  readonly also?: readonly (LaneTraits & { readonly name: string })[];
  /** Its flow, where it is not the one of all. */
  readonly source?: (version: number) => string;
  /** More of its flow's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Flows besides its own. */
  readonly besides?: Readonly<Record<string, { readonly source: string; readonly config: Readonly<Record<string, unknown>> }>>;
  /** The outlet `out`, which half of the keys leave by; undefined: all leave over HTTP. */
  readonly out: Readonly<Record<string, unknown>> | undefined;
  /** Resolves once the peer has acknowledged. May be called again for the same probe. */
  send(probe: Probe): Promise<void>;
}

/** Called for whatever comes out of a broker. */
export type Receive = (text: string, idempotencyKey: string) => void;

export interface Transport {
  readonly name: string;
  readonly lanes: readonly Lane[];
  /** Between gateway and broker. */
  readonly proxy: Proxy;
  /** Undefined where it is shared with others and must not be stopped. */
  readonly broker: PrivateBroker | undefined;
  /** Signals the broker survives without losing what it has acknowledged. */
  readonly stops: readonly NodeJS.Signals[];
  /** Told when the gateway's clock is set; absent where dates do not matter. */
  readonly stepped?: (atMs: number, offsetMs: number) => void;
  /** Told of whatever arrives. */
  readonly saw?: (text: string) => void;
  /** Faults besides those of the ledger; called once everything has arrived, while the gateway runs. */
  readonly judge?: () => Promise<readonly string[]>;
  readonly figures?: () => Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export interface Site {
  /** In every name that is shared with others. */
  readonly run: string;
  readonly receive: Receive;
}

/** Why there is no such transport here. */
export class Unavailable extends Error {}

export async function available(starting: Promise<PrivateBroker | string>): Promise<PrivateBroker> {
  const broker = await starting;
  if (typeof broker === "string") throw new Unavailable(broker);
  return broker;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Reads on until told to end; what goes wrong meanwhile is tried again. `read` says whether it found something. */
export function poll(read: () => Promise<boolean>, everyMs = 30): () => Promise<void> {
  let ended = false;
  const loop = (async () => {
    while (!ended) {
      const found = await read().catch(() => false);
      if (!found) await pause(everyMs);
    }
  })();
  return async () => {
    ended = true;
    await Promise.race([loop, pause(2_000)]);
  };
}

/** A client that is made when it is needed and made anew once it has failed. */
export class Lazy<T> {
  readonly #open: (lost: () => void) => Promise<T>;
  readonly #close: (client: T) => Promise<unknown>;
  #client: Promise<T> | undefined;

  constructor(open: (lost: () => void) => Promise<T>, close: (client: T) => Promise<unknown>) {
    this.#open = open;
    this.#close = close;
  }

  async use<R>(work: (client: T) => Promise<R>): Promise<R> {
    if (this.#client === undefined) {
      const opening: Promise<T> = this.#open(() => this.#drop(opening));
      this.#client = opening;
    }
    const client = this.#client;
    try {
      return await work(await client);
    } catch (error) {
      this.#drop(client);
      throw error;
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.then(this.#close).catch(() => undefined);
  }

  #drop(client: Promise<T>): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    void client.then(this.#close).catch(() => undefined);
  }
}
