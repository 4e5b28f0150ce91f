/** Calls over a NATS connection. */
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { Wire } from "./wire.ts";

/** Status of a server's answer for a subject that nobody listens to. */
const noResponders = 503;
const defaultPayloadBytes = 1024 * 1024;

/** Headers that can't be read are nobody's status. */
function isNobody(message: Msg): boolean {
  try {
    return message.data.length === 0 && message.headers?.code === noResponders;
  } catch {
    return false;
  }
}

export function natsWire(connection: NatsConnection): Wire {
  return {
    get mostBytes() {
      return connection.info?.max_payload ?? defaultPayloadBytes;
    },
    publish(subject, data, reply) {
      try {
        connection.publish(subject, data, reply === undefined ? {} : { reply });
        return true;
      } catch {
        return false; // closed or draining
      }
    },
    subscribe(subject, take) {
      const subscription = connection.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) return;
          take({ data: message.data, nobody: isNobody(message), subject: message.subject, reply: message.reply });
        },
      });
      return () => {
        if (!connection.isClosed()) subscription.unsubscribe();
      };
    },
  };
}
