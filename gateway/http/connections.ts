/** Connections by address: no peer takes all of limits.httpConnections and locks the others out. */
import type { Socket } from "node:net";
import type { Clock } from "#base";
import type { Logger } from "../contract/connector.ts";
import { networkOf } from "../contract/http/network.ts";
import { gatewayLimits } from "../contract/limits.ts";

export class ConnectionLimit {
  readonly #perAddress: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #open = new Map<string, number>();
  #refused = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(perAddress: number, clock: Clock, logger: Logger) {
    this.#perAddress = perAddress;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Connections that were closed at once, since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Counts the connection until it is closed, or closes it. */
  admit(socket: Socket): void {
    const network = networkOf(socket.remoteAddress);
    if (network === undefined) return;
    const open = this.#open.get(network) ?? 0;
    if (open >= this.#perAddress) {
      this.#refused += 1;
      socket.destroy();
      this.#warn(
        { code: "MF_CONNECTIONS_LIMIT", address: network, refused: this.#refused },
        `connections are refused: ${network} already has ${open} open; if it is a proxy, raise http.connectionsPerAddress`,
      );
      return;
    }
    this.#open.set(network, open + 1);
    socket.once("close", () => {
      const left = (this.#open.get(network) ?? 1) - 1;
      if (left === 0) this.#open.delete(network);
      else this.#open.set(network, left);
    });
  }

  acceptFailed(error: NodeJS.ErrnoException): void {
    this.#refused += 1;
    this.#warn(
      { code: "MF_ACCEPT", refused: this.#refused },
      `a connection could not be accepted (${error.code ?? error.message}): raise the limit of open files, or lower http.connectionsPerAddress`,
    );
  }

  #warn(fields: object, text: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#loggedMs < gatewayLimits.repeatedLogMs) return;
    this.#loggedMs = nowMs;
    this.#logger.warn(fields, text);
  }
}
