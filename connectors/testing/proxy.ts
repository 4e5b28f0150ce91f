/** A TCP proxy between a client and its broker that can cut, stall and refuse: the network's bad days, on demand. */
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

export class Proxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #refusing = false;
  #stalled = false;
  /** Connections taken so far. */
  connections = 0;
  /** Bytes from the client that end its connection before they reach the broker. */
  deadly: (bytes: Buffer) => boolean = () => false;
  /** Connections ended so. */
  killed = 0;
  /** Bytes from the broker. */
  down = 0;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer((client) => this.#take(client));
  }

  /** `port`: 0 for any that is free. */
  static async open(target: { readonly host: string; readonly port: number }, port = 0): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(port, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every connection that is open now. */
  cut(): void {
    for (const [client, broker] of this.#pairs) {
      reset(client);
      reset(broker);
    }
    this.#pairs.clear();
  }

  /** New connections are closed at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Nothing goes through in either direction, but connections stay open: a cable pulled out. */
  stall(stalled: boolean): void {
    this.#stalled = stalled;
    for (const pair of this.#pairs) for (const socket of pair) stalled ? socket.pause() : socket.resume();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #take(client: Socket): void {
    this.connections += 1;
    client.on("error", () => {});
    if (this.#refusing) return void client.resetAndDestroy();
    const broker = connect(this.#target);
    const pair = [client, broker] as const;
    this.#pairs.add(pair);
    broker.on("error", () => {});
    for (const [from, to] of [pair, [broker, client] as const]) {
      from.setNoDelay(true);
      from.on("data", (chunk: Buffer) => {
        if (from === broker) this.down += chunk.length;
        if (from !== client || !this.deadly(chunk)) return void to.write(chunk);
        this.killed += 1;
        for (const socket of pair) reset(socket);
      });
      from.on("end", () => void to.end());
      from.on("close", (cut) => {
        if (cut) to.destroy();
        else to.end(); // what was sent before the end still arrives
        // Not before both are closed: the other one may be paused, and would then be there for ever, unseen by the event loop.
        if (client.destroyed && broker.destroyed) this.#pairs.delete(pair);
      });
      if (this.#stalled) from.pause();
    }
  }
}

/** Node can't reset a socket that is being shut down: its handle would stay open, and the process would never end. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
