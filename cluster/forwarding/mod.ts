/** Messages, signals and questions from node to node, over NATS. */
import type { Outcome, Partition, SignalOutcome } from "#gateway";
import { Answerer } from "./answerer.ts";
import { Asker, type CallsOptions } from "./asker.ts";
import { Forwarder } from "./forwarder.ts";
import { answersOf, type ForwardingHost, parsed, verbs } from "./host.ts";
import { forwardingLimits } from "./limits.ts";
import type { Delivery, SignalDelivery } from "./messages.ts";

export type { ForwardingHost } from "./host.ts";
export type { Delivery, SignalDelivery } from "./messages.ts";
export { natsWire } from "./nats-wire.ts";

export interface ForwardingOptions extends CallsOptions {
  /** The node that owns a partition, as far as this one knows; undefined: none. Looked up again while messages wait. */
  readonly ownerOf: (partition: Partition) => string | undefined;
}

export interface Forwarding {
  /** Hands a message to its partition's owner. Never rejects. */
  message(delivery: Delivery): Promise<Outcome>;
  /** The same for a signal. */
  signal(delivery: SignalDelivery): Promise<SignalOutcome>;
  /** True while messages of the partition are on their way: one that comes now goes behind them (`message`), also if this node owns it. */
  isOnTheWay(partition: Partition): boolean;
  /** Asks a node something, as JSON. Undefined: it is not there, did not understand, or did not answer within `mostMs`. Never rejects. */
  ask(node: string, question: unknown, mostMs?: number): Promise<unknown>;
  /** Answers other nodes from now on. Called once. */
  serve(host: ForwardingHost): void;
  /** Refuses what other nodes ask from now on; what is worked on is answered still. */
  stopTaking(): void;
  /** Ends everything that is under way as refused. */
  close(): void;
}

export function openForwarding(options: ForwardingOptions): Forwarding {
  const { clock, node, ownerOf, limits = forwardingLimits } = options;
  const asker = new Asker(options);
  let answerer: Answerer | undefined;
  let served: ForwardingHost | undefined;
  const forwarder = new Forwarder({ asker, clock, node, ownerOf, host: () => served, limits });
  return {
    message: (delivery) => forwarder.message(delivery),
    signal: (delivery) => forwarder.signal(delivery),
    isOnTheWay: (partition) => forwarder.isOnTheWay(partition),
    async ask(to, question, mostMs = limits.questionMs) {
      const asked = asker.ask(to, verbs.question, Buffer.from(JSON.stringify(question)));
      let cancel: (() => void) | undefined;
      const late = new Promise<undefined>((resolve) => {
        cancel = clock.after(mostMs, () => resolve(undefined));
      });
      const end = await Promise.race([asked, late]);
      cancel?.();
      return end?.status === "answered" ? parsed(end.content)?.value : undefined;
    },
    serve(host) {
      served = host;
      answerer = new Answerer(options, answersOf(host));
    },
    stopTaking: () => answerer?.stopTaking(),
    close() {
      forwarder.close();
      asker.close();
      answerer?.close();
    },
  };
}
