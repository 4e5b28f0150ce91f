/** Links to addresses at a broker: one for each, in a session of its own, since a session sends its messages in order over all of its links. */
import type * as Rhea from "rhea";
import { CodedError } from "#base";
import { OutletError } from "#gateway/contract";
import { unlessAborted } from "../shared/link.ts";
import { type Amqp1Session, opened, roundTrip } from "./client.ts";
import { amqp1Limits } from "./limits.ts";

/** A delivery was settled, and not accepted. */
export class NotAccepted extends Error {
  readonly outcome: "rejected" | "released" | "modified";
  readonly condition: string;

  constructor(outcome: NotAccepted["outcome"], error: { readonly condition?: unknown; readonly description?: unknown } | undefined) {
    super(typeof error?.description === "string" ? error.description : outcome);
    this.outcome = outcome;
    this.condition = String(error?.condition ?? "");
  }
}

interface Settling {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A link that is open. */
class SenderLink {
  readonly #sender: Rhea.Sender;
  readonly #deliveries = new Map<Rhea.Delivery, Settling>();
  readonly #waiting = new Set<() => void>();
  failure: unknown;

  constructor(sender: Rhea.Sender) {
    this.#sender = sender;
    sender.on("sendable", () => this.#pump());
    sender.on("accepted", ({ delivery }: Rhea.EventContext) => this.#settle(delivery, ({ resolve }) => resolve()));
    for (const outcome of ["rejected", "released", "modified"] as const)
      sender.on(outcome, ({ delivery }: Rhea.EventContext) => {
        const state = delivery?.remote_state as { readonly error?: object } | undefined;
        this.#settle(delivery, ({ reject }) => reject(new NotAccepted(outcome, state?.error)));
      });
    sender.on("settled", ({ delivery }: Rhea.EventContext) =>
      this.#settle(delivery, ({ reject }) => reject(new NotAccepted("released", { description: "settled without an outcome" }))),
    );
  }

  /** Most bytes of a message, if the broker has a bound. */
  get mostBytes(): number {
    return Number(this.#sender.max_message_size) || Number.POSITIVE_INFINITY;
  }

  /** Resolves when the broker has accepted it. Rejects with NotAccepted, or the reason why the link ended. */
  async send(bytes: Buffer, signal: AbortSignal): Promise<void> {
    while (!this.#sender.sendable()) {
      if (this.failure !== undefined) throw this.failure as Error;
      await this.#credit(signal);
    }
    if (this.failure !== undefined) throw this.failure as Error;
    // Encoded already: format 0 is AMQP's own.
    const delivery = this.#sender.send(bytes, undefined, 0);
    await unlessAborted(
      signal,
      new Promise<void>((resolve, reject) => this.#deliveries.set(delivery, { resolve, reject })).finally(() =>
        this.#deliveries.delete(delivery),
      ),
    );
  }

  /** Resolves when there may be credit. Whoever gives up leaves nothing behind: a full broker may give none for days. */
  async #credit(signal: AbortSignal): Promise<void> {
    let go = (): void => undefined;
    const turn = new Promise<void>((resolve) => (go = resolve));
    this.#waiting.add(go);
    try {
      await unlessAborted(signal, turn);
    } finally {
      this.#waiting.delete(go);
    }
  }

  /** Each that can't send after all waits again. */
  #pump(): void {
    for (const go of this.#waiting) go();
  }

  #settle(delivery: Rhea.Delivery | undefined, how: (settling: Settling) => void): void {
    const settling = delivery === undefined ? undefined : this.#deliveries.get(delivery);
    if (settling !== undefined) how(settling);
  }

  fail(error: unknown): void {
    this.failure ??= error;
    for (const { reject } of [...this.#deliveries.values()]) reject(error);
    this.#pump();
  }

  close(): void {
    this.#sender.session.close();
  }
}

export class Senders {
  readonly #session: Amqp1Session;
  readonly #capabilities: readonly string[] | undefined;
  readonly #links = new Map<string, Promise<SenderLink>>();
  readonly #open = new Set<SenderLink>();

  /** `capabilities`: of the addresses, for brokers that create them. */
  constructor(session: Amqp1Session, capabilities?: readonly string[]) {
    this.#session = session;
    this.#capabilities = capabilities;
  }

  /** Opens the link, or finds that it can't be. */
  async check(address: string): Promise<void> {
    await this.#link(address);
  }

  /** Resolves when the broker has accepted it. */
  async send(address: string, message: Rhea.Message, signal: AbortSignal): Promise<void> {
    const bytes = encoded(this.#session, message);
    const link = await unlessAborted(signal, this.#link(address));
    if (bytes.length > link.mostBytes)
      throw new OutletError("MF_AMQP1_TOO_LARGE", `the message has ${bytes.length} bytes, and the broker takes ${link.mostBytes}`, {
        retryable: false,
      });
    await link.send(bytes, signal);
  }

  /** The connection is lost: what is under way ends. */
  lost(): void {
    const error = new OutletError("MF_CONNECTION_LOST", "the connection was lost before the peer answered", { retryable: true });
    for (const link of this.#open) link.fail(error);
  }

  #link(address: string): Promise<SenderLink> {
    const known = this.#links.get(address);
    if (known !== undefined) {
      this.#links.delete(address);
      this.#links.set(address, known);
      return known;
    }
    const opening = this.#attach(address);
    this.#links.set(address, opening);
    opening.catch(() => this.#forget(address, opening));
    this.#trim();
    return opening;
  }

  async #attach(address: string): Promise<SenderLink> {
    const session = this.#session.connection.create_session();
    session.begin();
    const capabilities = this.#capabilities === undefined ? {} : { capabilities: [...this.#capabilities] };
    const sender = session.open_sender({ target: { address, ...capabilities }, treat_modified_as_released: false });
    const link = new SenderLink(sender);
    try {
      await opened(sender, (error) => {
        link.fail(error);
        this.#open.delete(link);
        this.#links.delete(address);
      });
      await roundTrip(this.#session); // Artemis opens a link that it refuses, and closes it right after
      if (link.failure !== undefined) throw link.failure as Error;
    } catch (error) {
      link.close();
      throw error;
    }
    this.#open.add(link);
    return link;
  }

  #forget(address: string, opening: Promise<SenderLink>): void {
    if (this.#links.get(address) === opening) this.#links.delete(address);
  }

  /** Closes the link that was not used for longest. */
  #trim(): void {
    const [oldest] = this.#links;
    if (this.#links.size <= amqp1Limits.senders || oldest === undefined) return;
    const [address, link] = oldest;
    this.#links.delete(address);
    link.then(
      (open) => {
        this.#open.delete(open);
        open.close();
      },
      () => undefined,
    );
  }
}

/** Throws MF_AMQP1_HEADERS for what AMQP can't express: no attempt could. */
function encoded({ client }: Amqp1Session, message: Rhea.Message): Buffer {
  try {
    return client.message.encode(message);
  } catch (cause) {
    throw new CodedError("MF_AMQP1_HEADERS", `the message can't be written as AMQP 1.0: ${String(cause)}`, { cause });
  }
}

/** True for a fault of the message, which every attempt would meet. */
export const isFinal = (error: unknown): boolean =>
  error instanceof NotAccepted &&
  error.outcome === "rejected" &&
  ["amqp:link:message-size-exceeded", "amqp:decode-error", "amqp:not-allowed", "amqp:invalid-field", "amqp:not-implemented"].includes(
    error.condition,
  );
