/** TLS in front of a broker that speaks it only when set up for it. Wants a client certificate; PostgreSQL's own way of asking for TLS on demand. */
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { BrokerAddress } from "./brokers.ts";

/** SSLRequest: its length and a number no protocol version has (PostgreSQL documentation, 55.7); the answer is one byte. */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

export class TlsFront {
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
  }

  static async open(target: BrokerAddress, certificates: string, asked: boolean): Promise<TlsFront> {
    const [cert, key, ca] = await Promise.all(["server.pem", "server.key", "ca.pem"].map((name) => readFile(join(certificates, name))));
    const sockets = new Set<Socket>();
    const tls: TlsServer = createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, (secured) => {
      const broker = connect(target);
      sockets.add(broker);
      secured.pipe(broker).pipe(secured);
      for (const [one, other] of [
        [secured, broker],
        [broker, secured],
      ] as const)
        one.on("error", () => other.destroy()).on("close", () => other.destroy());
    });
    tls.on("tlsClientError", () => {});
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      if (!asked) return void tls.emit("connection", socket);
      socket.once("data", (request) => {
        if (!request.equals(sslRequest)) return void socket.destroy();
        socket.write("S");
        tls.emit("connection", socket);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TlsFront(server, sockets);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async remove(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
