/** Replies to the senders of AMQP messages. */
import type { AmqpSession } from "./client.ts";
import type { Settled } from "../shared/intake.ts";
import { LossGuard } from "../shared/link.ts";
import { replyOf } from "../shared/wire.ts";

interface ReplySession {
  readonly session: AmqpSession;
  /** Rejects pending confirmations when the connection is lost. */
  readonly guard: LossGuard;
}

/**
 * Replies over a separate connection, opened for the first one: RabbitMQ closes the channel, or the whole connection, over a reply it
 * refuses, and the connection of the messages must stay open. A refused reply takes all that are in flight with it; each of those is sent
 * once more, over a connection for it alone.
 */
export class Replies {
  readonly #connect: (closed: () => void) => Promise<AmqpSession>;
  #shared: Promise<ReplySession> | undefined;

  /** `connect` opens a connection and calls `closed` when it ends. */
  constructor(connect: (closed: () => void) => Promise<AmqpSession>) {
    this.#connect = connect;
  }

  /** Resolves when the broker has confirmed it. Not mandatory: a requester that has gone is no reason to retry. */
  async send(replyTo: string, correlationId: string | undefined, outcome: Settled): Promise<void> {
    const { body, contentType, headers } = replyOf(outcome);
    const options = { contentType, headers, ...(correlationId === undefined ? {} : { correlationId }) };
    const publish = ({ session, guard }: ReplySession): Promise<void> =>
      guard.during(
        new Promise((resolve, reject) => {
          session.channel.publish("", replyTo, Buffer.from(body), options, (error: unknown) => {
            if (error === null || error === undefined) resolve();
            else reject(error instanceof Error ? error : new Error(String(error)));
          });
        }),
      );
    try {
      await publish(await this.#sharedSession());
    } catch {
      const own = await this.#open(() => undefined);
      try {
        await publish(own);
      } finally {
        await own.session.close();
      }
    }
  }

  async close(): Promise<void> {
    const shared = await this.#shared?.catch(() => undefined);
    await shared?.session.close();
  }

  async #open(closed: () => void): Promise<ReplySession> {
    const guard = new LossGuard();
    const session = await this.#connect(() => {
      closed();
      guard.lost();
    });
    return { session, guard };
  }

  #sharedSession(): Promise<ReplySession> {
    if (this.#shared !== undefined) return this.#shared;
    const opening = this.#open(() => {
      if (this.#shared === opening) this.#shared = undefined;
    });
    this.#shared = opening;
    opening.catch(() => (this.#shared = undefined));
    return opening;
  }
}
