/**
 * The receiver's HTTP side. `/sink` takes what flows send; `/helper` answers what they ask. Both have bad days: some requests get
 * a 500 before or after they were taken, some garbage, some no answer at all, some a cut connection.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Prng } from "#base";

export interface SinkPorts {
  /** One in so many requests meets a fault; 0 for none. */
  readonly oneIn: number;
  readonly random: Prng;
  readonly receive: (text: string, idempotencyKey: string) => void;
  /** The attempt under this key was cut on purpose. */
  readonly cut: (idempotencyKey: string) => void;
}

export class Sink {
  readonly #server: Server;
  readonly #ports: SinkPorts;
  readonly faults: Record<string, number> = {};
  #calm = false;

  private constructor(ports: SinkPorts) {
    this.#ports = ports;
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("error", () => undefined);
      response.on("error", () => undefined);
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => this.#answer(request, response, Buffer.concat(parts).toString()));
    });
  }

  static async open(ports: SinkPorts): Promise<Sink> {
    const sink = new Sink(ports);
    await new Promise<void>((resolve) => sink.#server.listen(0, "127.0.0.1", resolve));
    return sink;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** No more faults: work in flight must end. */
  calm(): void {
    this.#calm = true;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const key = String(request.headers["idempotency-key"] ?? "");
    const { random, oneIn } = this.#ports;
    const bad = oneIn > 0 && !this.#calm && random.below(oneIn) === 0;
    if (request.url === "/helper") return bad ? this.#badHelper(response) : void response.writeHead(200).end(body);
    if (!bad) {
      this.#ports.receive(body, key);
      return void response.writeHead(204).end();
    }
    this.#ports.cut(key);
    switch (this.#kind(["refuses", "takes, then 500", "takes, then hangs", "takes, then resets", "takes, then garbage"])) {
      case "refuses":
        return void response.writeHead(503, { "retry-after": "0" }).end("busy");
      case "takes, then 500":
        this.#ports.receive(body, key);
        return void response.writeHead(500).end("<html>oops");
      case "takes, then hangs":
        return this.#ports.receive(body, key);
      case "takes, then resets":
        this.#ports.receive(body, key);
        return void response.socket?.resetAndDestroy();
      default:
        this.#ports.receive(body, key);
        response.socket?.end("HTTP/9.9 garbage\r\n\r\n\u0000\u0001");
    }
  }

  #badHelper(response: ServerResponse): void {
    switch (this.#kind(["helper: 500", "helper: garbage", "helper: hangs", "helper: resets"])) {
      case "helper: 500":
        return void response.writeHead(500).end("no");
      case "helper: garbage":
        return void response.writeHead(200, { "content-type": "application/json" }).end('{"seq":');
      case "helper: hangs":
        return;
      default:
        response.socket?.resetAndDestroy();
    }
  }

  #kind(kinds: readonly string[]): string {
    const kind = kinds[this.#ports.random.below(kinds.length)] ?? "";
    this.faults[kind] = (this.faults[kind] ?? 0) + 1;
    return kind;
  }
}
