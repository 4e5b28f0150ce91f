/** An SMTP server small enough to see through: takes what it is sent, refuses what it is told to, STARTTLS and AUTH PLAIN on demand. */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly data: string;
  readonly secure: boolean;
}

export interface SmtpServerOptions {
  readonly login?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** "Unfolding is accomplished by simply removing any CRLF that is immediately followed by WSP" (RFC 5322, 2.2.3); headers only. */
function unfolded(mail: string): string {
  const end = mail.indexOf("\r\n\r\n");
  return end === -1 ? mail : mail.slice(0, end).replace(/\r\n(?=[ \t])/g, "") + mail.slice(end);
}

export class SmtpServer {
  readonly mails: ReceivedMail[] = [];
  /** Reply to RCPT in place of 250, by recipient. */
  readonly refusals = new Map<string, string>();
  readonly #options: SmtpServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: SmtpServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.write("220 test\r\n");
      this.#serve(socket, false);
    });
  }

  static async open(options: SmtpServerOptions = {}): Promise<SmtpServer> {
    const server = new SmtpServer(options);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket, secure: boolean): void {
    let input = "";
    let envelope: { from: string; to: string[] } = { from: "", to: [] };
    let inData = false;
    const onData = (chunk: Buffer): void => {
      input += chunk.toString("latin1");
      for (;;) {
        const end = input.indexOf(inData ? "\r\n.\r\n" : "\r\n");
        if (end === -1) return;
        const piece = input.slice(0, end);
        input = input.slice(end + (inData ? 5 : 2));
        if (inData) {
          this.mails.push({ ...envelope, data: unfolded(Buffer.from(piece, "latin1").toString("utf8")), secure });
          [envelope, inData] = [{ from: "", to: [] }, false];
          socket.write("250 taken\r\n");
        } else if (/^STARTTLS/i.test(piece)) {
          socket.off("data", onData);
          socket.write("220 go\r\n");
          const upgraded = new TLSSocket(socket, { isServer: true, ...this.#options.tls });
          upgraded.on("error", () => {});
          return this.#serve(upgraded, true);
        } else {
          const answer = this.#answer(piece, envelope, secure);
          inData = answer.startsWith("354");
          socket.write(`${answer}\r\n`);
        }
      }
    };
    socket.on("data", onData);
    socket.on("error", () => {});
  }

  #answer(line: string, envelope: { from: string; to: string[] }, secure: boolean): string {
    const { login, tls } = this.#options;
    const [, recipient] = /^RCPT TO:<([^>]*)>/i.exec(line) ?? [];
    const [, sender] = /^MAIL FROM:<([^>]*)>/i.exec(line) ?? [];
    const [, plain] = /^AUTH PLAIN (.*)/i.exec(line) ?? [];
    if (/^EHLO/i.test(line))
      return [
        ...(tls !== undefined && !secure ? ["250-STARTTLS"] : []),
        ...(login === undefined ? [] : ["250-AUTH PLAIN"]),
        "250 8BITMIME",
      ].join("\r\n");
    if (plain !== undefined)
      return Buffer.from(plain, "base64").toString() === `\0${login?.replace(":", "\0")}` ? "235 welcome" : "535 wrong";
    if (sender !== undefined) envelope.from = sender;
    if (recipient !== undefined) {
      const refusal = this.refusals.get(recipient);
      if (refusal !== undefined) return refusal;
      envelope.to.push(recipient);
    }
    if (/^DATA/i.test(line)) return "354 go on";
    return /^QUIT/i.test(line) ? "221 bye" : "250 ok";
  }
}
