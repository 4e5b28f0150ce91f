/** Connections for contents: FTP has one transfer at a time on each, and commands must not wait for a long one. */
import type { Socket } from "node:net";
import { PassThrough, Readable, Writable } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Client } from "basic-ftp";
import type { Pieces } from "../shared/remote-folder/port.ts";
import { ftpLimits } from "./limits.ts";

export class Transfers {
  readonly #connect: () => Promise<Client>;
  readonly #open = new Set<Client>();
  readonly #idle: Client[] = [];
  #waiting: (() => void)[] = [];
  #busy = 0;
  #closed = false;

  constructor(connect: () => Promise<Client>) {
    this.#connect = connect;
  }

  /** A connection for one use, which ends with `give`. Waits while all are in use. */
  async take(): Promise<Client> {
    while (this.#busy >= ftpLimits.transfersAtOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy += 1;
    try {
      return (await this.#reused()) ?? (await this.#connected());
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  /** `whole`: every answer has been read, so that the connection can be used again. */
  give(client: Client, whole: boolean): void {
    if (whole && !client.closed && !this.#closed) this.#idle.push(client);
    else this.#drop(client);
    this.#free();
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#open) client.close();
    this.#open.clear();
    this.#idle.length = 0;
  }

  async #reused(): Promise<Client | undefined> {
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop())
      try {
        await client.send("NOOP");
        return client;
      } catch {
        this.#drop(client); // the server ends idle connections
      }
    return undefined;
  }

  async #connected(): Promise<Client> {
    const client = await this.#connect();
    this.#open.add(client);
    if (!this.#closed) return client;
    this.#drop(client);
    throw new Error("the connection was closed");
  }

  #drop(client: Client): void {
    this.#open.delete(client);
    client.close();
  }

  #free(): void {
    this.#busy -= 1;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A file's bytes from an offset on. A reader that ends early leaves the connection unusable. */
export async function* bytesFrom(client: Client, path: string, start: number): AsyncGenerator<Uint8Array> {
  const bytes = new PassThrough({ highWaterMark: ftpLimits.bufferBytes });
  bytes.on("error", () => {});
  const transfer = client.downloadTo(bytes, path, start);
  transfer.catch((error: unknown) => bytes.destroy(error as Error));
  try {
    for await (const piece of bytes) yield piece as Buffer;
    await transfer;
  } finally {
    bytes.destroy();
  }
}

/** Uploads pieces with STOR or APPE. Resolves with their bytes. */
export async function upload(client: Client, how: "STOR" | "APPE", path: string, pieces: Pieces, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      signal.throwIfAborted(); // nobody waits for the rest of a long body
      bytes += piece.length;
      if (piece.length > 0) yield piece;
    }
    if (bytes === 0) await handshake(client.ftp.dataSocket);
  };
  const source = Readable.from(counted(), { highWaterMark: 1 });
  await (how === "STOR" ? client.uploadFrom(source, path) : client.appendFrom(source, path));
  return bytes;
}

/** Waits for the end of a TLS handshake: a socket that is ended within it, as that of an empty file, is an error to the server. */
async function handshake(socket: Socket | undefined): Promise<void> {
  if (!(socket instanceof TLSSocket) || socket.getPeerFinished() !== undefined) return;
  await new Promise<void>((resolve) => socket.once("secureConnect", resolve).once("close", () => resolve()));
}

/** The last byte of a file of `size` bytes. */
export async function lastByte(client: Client, path: string, size: number): Promise<number | undefined> {
  let last: number | undefined;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      last = chunk.at(-1);
      done();
    },
  });
  await client.downloadTo(sink, path, size - 1);
  return last;
}
