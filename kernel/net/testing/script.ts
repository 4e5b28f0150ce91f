/**
 * Scripts of segments, as packetdrill has them, in words of ours. A script is lines, run in order; sequence numbers are relative to
 * the first SYN of their side.
 *
 *     < FLAGS FIRST:END [ack N] [win N] [mss N] [ws N] [sack] [from PORT] [to PORT]   the peer sends (default: win 65535)
 *     > FLAGS FIRST:END [ack N] [win N] [sack A-B,C-D]    the stack must have sent this next, and at this time
 *     +MS                                              time goes on; nothing may be sent before its end
 *     +MS > …                                          as both; within a tick of 5 ms
 *     none                                             the stack must have sent nothing more
 *     listen PORT │ connect │ write N │ push │ send N (write and push) │ finish │ abort │ hold │ release │ icmp TYPE CODE [MTU]
 *     events E,E                                        what the user was told since the last such line: opened connected N (bytes) writable ended closed:R
 *     free                                             no slot, block or handshake is taken
 *
 * FLAGS: S F R P A, or -. `ack` and `win` are compared when they are named.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Stack } from "./stack.ts";
import {
  ACK,
  arpFrame,
  decode,
  FIN,
  guestAddress,
  icmpFrame,
  peerAddress,
  PSH,
  RST,
  SYN,
  sackBlocks,
  synOptions,
  type TcpSegment,
  tcpFrame,
} from "./wire.ts";

const bits: Readonly<Record<string, number>> = { F: FIN, S: SYN, R: RST, P: PSH, A: ACK };
const peerFirst = 0xffff_ff00; // so that numbers wrap early
const tickUs = 6000;

interface Line {
  readonly flags: string;
  readonly first: number;
  readonly length: number;
  readonly values: ReadonlyMap<string, string>;
}

function parse(words: readonly string[]): Line {
  const [flags = "", range = "", ...rest] = words;
  const [first, end] = range.split(":").map(Number) as [number, number];
  const values = new Map<string, string>();
  for (let at = 0; at < rest.length; at++) {
    const name = rest[at] as string;
    const next = rest[at + 1];
    if (next !== undefined && /^[\d-]/.test(next)) at++;
    values.set(name, next !== undefined && /^[\d-]/.test(next) ? next : "");
  }
  return { flags, first, length: end - first, values };
}

export class Script {
  readonly stack: Stack;
  readonly #sent: TcpSegment[] = [];
  #asked = false;
  #events: string[] = [];
  #stream = 0;
  #holds = false;
  #guestFirst = 0;
  #port = 80;
  #peerPort = 5000;
  #line = "";

  constructor(memoryBytes?: number) {
    this.stack = new Stack({
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      onFrame: (bytes) => {
        const frame = decode(bytes);
        if (frame.kind === "tcp") this.#sent.push(frame.segment);
        else if (frame.kind === "arp" && frame.operation === 1 && frame.target === peerAddress) this.#asked = true;
      },
    });
    this.stack.user = {
      opened: (stream) => {
        this.#stream = stream;
        this.#events.push("opened");
        return true;
      },
      connected: () => void this.#events.push("connected"),
      received: (_stream, bytes) => {
        if (this.#holds) return 0;
        this.#events.push(String(bytes.length));
        return bytes.length;
      },
      writable: () => void this.#events.push("writable"),
      ended: () => void this.#events.push("ended"),
      closed: (_stream, reason) => void this.#events.push(`closed:${reason}`),
    };
    this.stack.receive(arpFrame(1, peerAddress, guestAddress));
    this.stack.exports.listen(80);
  }

  run(script: string): void {
    for (const line of script.split("\n").map((each) => each.trim()))
      if (line !== "" && !line.startsWith("#")) {
        this.#line = line;
        this.#step(line.split(/\s+/));
      }
  }

  #step(words: readonly string[]): void {
    const [verb = "", value = ""] = words;
    if (verb.startsWith("+")) return this.#pass(Number(verb.slice(1)) * 1000, words.slice(1));
    if (verb === "<") this.#inject(parse(words.slice(1)));
    else if (verb === ">") this.#expect(parse(words.slice(1)));
    else if (verb === "none")
      deepEqual(this.#sent.map((each) => this.#describe(each)), [], this.#line); // biome-ignore format: one line
    else if (verb === "icmp") this.#icmp(Number(value), Number(words[2]), Number(words[3] ?? 0));
    else if (verb === "events")
      deepEqual(this.#events.splice(0), value.split(",").filter(Boolean), this.#line); // biome-ignore format: one line
    else if (verb === "free") this.#free();
    else this.#user(verb, Number(value));
    this.stack.poll();
  }

  #user(verb: string, value: number): void {
    const { exports } = this.stack;
    if (verb === "listen") exports.listen(value);
    else if (verb === "connect") {
      this.#stream = exports.connect(peerAddress, 7000);
      ok(this.#stream > 0);
      this.#peerPort = 7000;
      this.#port = exports.localPort(this.#stream);
    } else if (verb === "write" || verb === "send") {
      equal(this.stack.write(this.#stream, new Uint8Array(value)), value, this.#line);
      if (verb === "send") exports.push(this.#stream);
    } else if (verb === "push") exports.push(this.#stream);
    else if (verb === "finish") exports.finish(this.#stream);
    else if (verb === "abort") exports.abort(this.#stream);
    else if (verb === "hold") this.#holds = true;
    else if (verb === "release") {
      this.#holds = false;
      exports.resume(this.#stream);
    } else throw new Error(`no such line: ${this.#line}`);
  }

  #pass(us: number, rest: readonly string[]): void {
    const until = this.stack.nowUs + us;
    this.#step(["none"]);
    this.#until(until - (rest.length > 0 ? tickUs : 0));
    this.#step(["none"]);
    if (rest.length === 0) return;
    while (this.#sent.length === 0 && this.stack.nowUs < until + tickUs) this.#until(this.stack.nowUs + 1000);
    this.#step(rest);
  }

  /** The peer is there for ARP, always. */
  #until(us: number): void {
    do {
      this.#asked = false;
      this.stack.runUntil(Math.min(us, this.stack.nowUs + 1_000_000));
      if (this.#asked) this.stack.receive(arpFrame(2, peerAddress, guestAddress));
    } while (this.stack.nowUs < us);
  }

  #inject({ flags, first, length, values }: Line): void {
    const number = (name: string): number | undefined => (values.has(name) ? Number(values.get(name)) : undefined);
    const ack = number("ack");
    this.stack.receive(
      tcpFrame({
        fromPort: number("from") ?? this.#peerPort,
        toPort: number("to") ?? this.#port,
        sequence: (peerFirst + first) >>> 0,
        acknowledged: ack === undefined ? 0 : (this.#guestFirst + ack) >>> 0,
        flags: [...flags].reduce((sum, flag) => sum | (bits[flag] ?? 0), 0),
        window: number("win") ?? 65_535,
        options: flags.includes("S") ? synOptions(number("mss"), number("ws"), values.has("sack")) : new Uint8Array(0),
        data: new Uint8Array(length),
      }),
    );
  }

  #describe(segment: TcpSegment): string {
    const flags = Object.keys(bits)
      .filter((flag) => segment.flags & (bits[flag] as number))
      .join("");
    const first = (segment.sequence - this.#guestFirst) >>> 0;
    return `${flags} ${first}:${first + segment.data.length} ack ${(segment.acknowledged - peerFirst) >>> 0} win ${segment.window}`;
  }

  #expect({ flags, first, length, values }: Line): void {
    const segment = this.#sent.shift();
    ok(segment !== undefined, `nothing was sent: ${this.#line}`);
    if (segment.flags & SYN) this.#guestFirst = segment.sequence;
    const wanted = [...flags].sort((a, b) => "FSRPA".indexOf(a) - "FSRPA".indexOf(b)).join("");
    const [gotFlags, gotRange, , ack, , win] = this.#describe(segment).split(" ");
    const got = [gotFlags, gotRange, values.has("ack") ? ack : undefined, values.has("win") ? win : undefined];
    deepEqual(got, [wanted, `${first}:${first + length}`, values.get("ack"), values.get("win")], this.#line);
    const sack = sackBlocks(segment.options).map(([a, b]) => `${(a - peerFirst) >>> 0}-${(b - peerFirst) >>> 0}`);
    equal(sack.join(), values.get("sack") ?? "", this.#line);
  }

  #icmp(type: number, code: number, mtu: number): void {
    const inner = tcpFrame({
      from: guestAddress,
      to: peerAddress,
      fromPort: this.#port,
      toPort: this.#peerPort,
      sequence: this.#guestFirst,
    }).subarray(14, 42);
    const data = new Uint8Array(4 + inner.length);
    new DataView(data.buffer).setUint32(0, mtu);
    data.set(inner, 4);
    this.stack.receive(icmpFrame(type, code, data));
  }

  #free(): void {
    const { usedCount, freeBlocks, allBlocks, halfOpenCount } = this.stack.exports;
    deepEqual([usedCount(), allBlocks() - freeBlocks(), halfOpenCount()], [0, 0, 0], this.#line);
  }
}
