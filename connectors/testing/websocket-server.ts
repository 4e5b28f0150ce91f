/** WebSocket servers for tests: a feed that remembers its messages, and one whose bytes a test writes itself. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";

export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** A server whose frames and handshakes are kept. */
export class SocketServer {
  readonly requests: IncomingMessage[] = [];
  readonly frames: string[] = [];
  readonly sockets = new Set<WebSocket>();
  /** Answers a frame. */
  answer: (socket: WebSocket, data: Buffer, isBinary: boolean) => void = () => {};
  port = 0;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;

  private constructor(server: Server, options: ServerOptions) {
    this.#server = server;
    this.#sockets = new WebSocketServer({ ...options, server });
    this.#sockets.on("connection", (socket, request) => {
      this.requests.push(request);
      this.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.sockets.delete(socket));
      socket.on("message", (data: Buffer, isBinary) => {
        this.frames.push(data.toString());
        this.answer(socket, data, isBinary);
      });
    });
  }

  static async open(server: Server = createServer(), options: ServerOptions = {}): Promise<SocketServer> {
    const one = new SocketServer(server, options);
    one.port = await listening(server);
    after(() => one.close());
    return one;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/feed`;
  }

  /** Bytes that were sent and not read, beyond those in the sockets of the system. */
  get waitingBytes(): number {
    return [...this.sockets].reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0);
  }

  send(data: string | Uint8Array): void {
    for (const socket of this.sockets) socket.send(data);
  }

  close(): void {
    for (const socket of this.sockets) socket.terminate();
    this.#sockets.close();
    this.#server.close();
  }
}

/**
 * A feed with numbered messages. `{"after":"N"}` subscribes to those behind N; `{"ack":"N"}` is remembered, and of a feed that is
 * acknowledged those behind the last one are sent again.
 */
export class Feed {
  readonly server: SocketServer;
  readonly messages: string[] = [];
  readonly subscriptions: string[] = [];
  readonly acks: string[] = [];
  readonly #subscribed = new Set<WebSocket>();

  private constructor(server: SocketServer) {
    this.server = server;
    server.answer = (socket, data) => {
      const { after: last, ack } = JSON.parse(data.toString()) as { readonly after?: string; readonly ack?: string };
      if (ack !== undefined) this.acks.push(ack);
      if (last === undefined) return;
      this.subscriptions.push(last);
      const from = last === "acked" ? Number(this.acks.at(-1) ?? 0) : Number(last);
      for (let index = from; index < this.messages.length; index += 1) socket.send(this.#text(index));
      this.#subscribed.add(socket);
    };
  }

  static async open(server?: Server): Promise<Feed> {
    return new Feed(await SocketServer.open(server));
  }

  push(...data: readonly string[]): void {
    for (const each of data) {
      this.messages.push(each);
      for (const socket of this.#subscribed) socket.send(this.#text(this.messages.length - 1));
    }
  }

  #text(index: number): string {
    return JSON.stringify({ seq: index + 1, data: this.messages[index] });
  }
}

/** A server that upgrades a connection and then writes the bytes that it is given. */
export async function rawServer(talk: (socket: Duplex) => void, headers = ""): Promise<string> {
  const sockets = new Set<Duplex>();
  const server = createServer().on("upgrade", ({ headers: { "sec-websocket-key": key } }: IncomingMessage, socket: Duplex) => {
    sockets.add(socket);
    socket.on("error", () => {});
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n${headers}\r\n`,
    );
    talk(socket);
  });
  const port = await listening(server);
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `ws://127.0.0.1:${port}/`;
}

/** A frame as RFC 6455, 5.2 has it, without a mask. `head`: FIN, RSV and opcode. */
export function rawFrame(head: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([head, length]), payload]);
  const long = Buffer.alloc(length < 65_536 ? 4 : 10);
  long[0] = head;
  long[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) long.writeUInt16BE(length, 2);
  else long.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([long, payload]);
}
