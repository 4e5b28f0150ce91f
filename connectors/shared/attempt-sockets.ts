/**
 * The sockets that an attempt to connect opens, so that they are closed with it. Not every client library releases the socket of a silent
 * server, and one such socket keeps the process alive.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

const attempts = new AsyncLocalStorage<AttemptSockets>();
let subscribed = false;

export class AttemptSockets {
  readonly #sockets = new Set<Socket>();

  /** Runs an attempt: sockets that are opened in it, or in what it starts, belong to it. */
  run<T>(attempt: () => T): T {
    if (!subscribed) {
      subscribed = true;
      subscribe("net.client.socket", (message) => attempts.getStore()?.add((message as { readonly socket: Socket }).socket));
    }
    return attempts.run(this, attempt);
  }

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  /**
   * Ends the attempt: closes its sockets. A client library that is about to connect is not told: one that outlives the attempt has to be closed
   * before, by `own`.
   */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
