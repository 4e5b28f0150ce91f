/**
 * The shell of every source that reads from a broker: a Link (a connection that reconnects) and an Intake (the messages in hand), joined as
 * the contract of a source requires. The connector adds what is special about its broker: how to open, read, settle and give back.
 *
 *     start   make the intake, then the first attempt to `open`
 *     lost    forget the messages in hand (the broker redelivers them), close owned resources, open again after a backoff
 *     stop    `end` (no new messages) → give waiting messages back, wait for those the gateway has → `flush` → close
 *
 * A broker that pushes is told `intake.limit` as its prefetch, and its callback offers each message to the intake. A broker that is asked is
 * read by a `FetchLoop`. Either may need leases renewed while the gateway works on messages: `Held`.
 */
import type { CodedError } from "#base";
import { type ConnectorContext, guarded, type Source, type SourceContext } from "#gateway/contract";
import { Intake } from "./intake.ts";
import { type Closable, Link, type Opening } from "./link.ts";

export interface BrokerSourceOptions {
  readonly context: SourceContext;
  /** Address of the broker, without secrets. */
  readonly peer: string;
  /** Name of the thing that is read, for people: "queue orders". */
  readonly place: string;
  /** Maximum number of messages in hand; the flow's queue may allow fewer. Absent: as many as the queue allows. */
  readonly prefetch: number | undefined;
  /** The broker keeps nothing it has sent: messages received before a loss stay valid, and those that wait at the stop are handed over. */
  readonly atMostOnce?: boolean;
  /** Converts an error of the client into one with a code and a sentence. */
  explain(peer: string, place: string, error: unknown): CodedError;
  /** Connects, logs in and begins to read. */
  open(opening: SourceOpening): Promise<Reading>;
}

export interface SourceOpening extends Opening {
  readonly intake: Intake;
  /** Wraps a callback for the client: an error thrown in it is reported, not thrown into the client. */
  readonly callback: <Arguments extends unknown[]>(work: (...values: Arguments) => void) => (...values: Arguments) => void;
}

/** A session's reading. */
export interface Reading {
  /** Resolves when no message can come any more. Absent: messages may come until the connection is closed. */
  end?(): Promise<unknown>;
  /** Resolves when the broker has read all that was given back and replied. Absent if closing the connection ensures that. */
  flush?(): Promise<unknown>;
}

export function brokerSource(options: BrokerSourceOptions): Source {
  const { context, peer, place, atMostOnce = false } = options;
  let intake: Intake | undefined;
  const link = new Link<Reading>({
    context,
    peer: `${peer} ${place}`,
    explain: (error) => options.explain(peer, place, error),
    open: ({ lost, own }) => {
      const callback: SourceOpening["callback"] = (work) => guarded(context.unexpected, `a message of ${place}`, work);
      return options.open({ intake: intake as Intake, lost, own, callback }); // not before `start`
    },
    ...(atMostOnce ? {} : { onLost: () => intake?.forget() }),
  });
  return {
    start(accept) {
      const limit = Math.min(options.prefetch ?? context.prefetch, context.prefetch);
      intake = new Intake({ context, accept, limit, handOverAtStop: atMostOnce });
      return link.start();
    },
    pause: () => intake?.pause(),
    resume: () => intake?.resume(),
    async stop() {
      await link.lastWords(link.session?.end?.());
      await intake?.drain();
      await link.lastWords(link.session?.flush?.());
      await link.stop();
    },
    health: () => link.health(),
  };
}

/** Reads from a broker that is asked for messages: one fetch after the other, each for as many as there is room for. */
export class FetchLoop {
  readonly #intake: Intake;
  readonly #fetch: (room: number) => Promise<void>;
  /** Resolves with the last fetch. */
  readonly over: Promise<void>;
  #ended = false;

  /** Starts at once. If a fetch fails, `lost` gets its error and the loop ends. */
  constructor(intake: Intake, lost: (error: unknown) => void, fetch: (room: number) => Promise<void>) {
    this.#intake = intake;
    this.#fetch = fetch;
    this.over = this.#run().catch(lost);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The fetch in progress is the last. */
  close(): void {
    this.#ended = true;
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const room = await this.#intake.untilRoom();
      if (room === 0 || this.#ended) return;
      await this.#fetch(room);
    }
  }
}

/** Messages whose lease at the broker is renewed every `everyMs`, while the gateway works on them. */
export class Held<T> implements Closable {
  readonly #context: Pick<ConnectorContext, "clock">;
  readonly #everyMs: number;
  readonly #renew: (held: readonly T[]) => void;
  readonly #held = new Set<T>();
  #cancel: () => void = () => {};

  constructor(context: Pick<ConnectorContext, "clock">, everyMs: number, renew: (held: readonly T[]) => void) {
    this.#context = context;
    this.#everyMs = everyMs;
    this.#renew = renew;
    this.#schedule();
  }

  has(message: T): boolean {
    return this.#held.has(message);
  }

  add(message: T): void {
    this.#held.add(message);
  }

  /** Stops renewing it. */
  delete(message: T): void {
    this.#held.delete(message);
  }

  close(): void {
    this.#cancel();
  }

  #schedule(): void {
    this.#cancel = this.#context.clock.after(this.#everyMs, () => {
      if (this.#held.size > 0) this.#renew([...this.#held]);
      this.#schedule();
    });
  }
}
