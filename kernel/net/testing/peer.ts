/**
 * A model of a peer's TCP, apart from the stack under test and simpler: it sends again everything that is not acknowledged after a timeout,
 * and keeps all that comes out of order. Its habits (segment sizes, windows, delays, ends) are drawn from a seed.
 */
import { assert, type Prng } from "#base";
import { ACK, FIN, PSH, RST, SYN, sackBlocks, synOptions, type TcpSegment, tcpFrame } from "./wire.ts";
import type { World } from "./world.ts";

export interface Habits {
  readonly segment: number;
  /** undefined: no scaling. */
  readonly scale: number | undefined;
  readonly sack: boolean;
  /** Bytes of buffer; the window. */
  readonly buffer: number;
  /** Bytes taken out of the buffer at a time, and the pause between; 0: at once. */
  readonly readUs: number;
  /** `close`: FIN after its data. `reset`, `vanish`: at some moment. `wait`: FIN once the other side has finished. */
  readonly end: "close" | "wait" | "reset" | "vanish";
  /** For `reset` and `vanish`. */
  readonly endAfterUs: number;
  readonly data: Uint8Array;
  /** Pause before the first byte. */
  readonly pauseUs: number;
}

const seq = (value: number): number => value >>> 0;
/** a − b as a signed distance. */
const distance = (a: number, b: number): number => (a - b) | 0;

export interface PeerEnds {
  readonly address: number;
  readonly port: number;
  readonly toAddress: number;
  readonly toPort: number;
}

export class Peer {
  state: "closed" | "synSent" | "open" | "over" = "closed";
  /** Ended by a reset of the other side, or given up. */
  broken = false;
  /** All of this side's bytes and its FIN were acknowledged, and the other side's FIN came. */
  get whole(): boolean {
    return this.#finAcknowledged && this.finReceived;
  }
  finReceived = false;
  #finAcknowledged = false;
  readonly #received: Uint8Array[] = [];
  #receivedBytes = 0;
  readonly #ahead = new Map<number, Uint8Array>();
  #finAt: number | undefined;
  readonly #iss: number;
  #una: number;
  #nxt: number;
  #rcvNxt = 0;
  #unread = 0;
  #window = 0;
  #scaleOut = 0;
  #scaled = false;
  #segment = 536;
  #tries = 0;
  #timer = 0;
  #mayClose = false;
  #edge = 0;
  readonly world: World;
  readonly random: Prng;
  readonly habits: Habits;
  readonly ends: PeerEnds;
  readonly #send: (frame: Uint8Array) => void;

  constructor(world: World, random: Prng, habits: Habits, ends: PeerEnds, send: (frame: Uint8Array) => void) {
    this.world = world;
    this.random = random;
    this.habits = habits;
    this.ends = ends;
    this.#send = send;
    this.#iss = random.uint32();
    this.#una = this.#iss;
    this.#nxt = this.#iss;
    this.#mayClose = habits.end !== "wait";
  }

  start(): void {
    this.state = "synSent";
    this.#nxt = seq(this.#iss + 1);
    this.#sendSyn();
    this.#arm();
    const { end, endAfterUs } = this.habits;
    if (end === "reset") this.world.at(endAfterUs, () => this.#reset());
    if (end === "vanish") this.world.at(endAfterUs, () => this.#over());
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  #over(): void {
    this.state = "over";
  }

  #reset(): void {
    if (this.state === "over") return;
    this.#emit(this.#nxt, RST, new Uint8Array(0));
    this.#over();
  }

  #emit(sequence: number, flags: number, data: Uint8Array): void {
    const free = Math.max(0, this.habits.buffer - this.#unread);
    let window = (flags & SYN) !== 0 ? Math.min(free, 0xffff) : Math.min(0xffff, free >> (this.#scaled ? (this.habits.scale ?? 0) : 0));
    if (flags & RST) window = 0;
    const { segment, scale, sack } = this.habits;
    const options = flags & SYN ? synOptions(segment, scale, sack) : new Uint8Array(0);
    const shift = (flags & SYN) === 0 && this.#scaled ? (this.habits.scale ?? 0) : 0;
    if ((flags & ACK) !== 0 && distance(seq(this.#rcvNxt + (window << shift)), this.#edge) > 0)
      this.#edge = seq(this.#rcvNxt + (window << shift));
    const { address, port, toAddress, toPort } = this.ends;
    const acknowledged = (flags & ACK) !== 0 ? this.#rcvNxt : 0;
    this.#send(tcpFrame({ from: address, to: toAddress, fromPort: port, toPort, sequence, acknowledged, flags, window, options, data }));
  }

  #sendSyn(): void {
    this.#emit(this.#iss, SYN, new Uint8Array(0));
  }

  #arm(): void {
    const timer = ++this.#timer;
    this.world.at(300_000 * 2 ** Math.min(this.#tries, 6), () => {
      if (timer === this.#timer && this.state !== "over") this.#timeout();
    });
  }

  #timeout(): void {
    if (this.state === "synSent") {
      if (++this.#tries > 6) return this.#giveUp();
      this.#sendSyn();
      return this.#arm();
    }
    if (this.#una === this.#nxt && this.#pending() === 0) return;
    if (++this.#tries > 12) return this.#giveUp();
    this.#nxt = this.#una;
    this.#output(true);
    this.#arm();
  }

  #giveUp(): void {
    this.broken = true;
    this.#reset();
  }

  /** Bytes and the FIN that were not sent yet. */
  #pending(): number {
    const all = this.habits.data.length + (this.#mayClose ? 1 : 0);
    return all - distance(this.#nxt, seq(this.#iss + 1));
  }

  #output(force = false): void {
    const { data } = this.habits;
    for (let burst = 0; burst < 40; burst++) {
      const from = distance(this.#nxt, seq(this.#iss + 1));
      const flight = distance(this.#nxt, this.#una);
      let room = Math.min(this.#window - flight, 8192 - flight);
      if (force && burst === 0) room = Math.max(room, 1);
      const length = Math.min(1 + this.random.below(this.#segment), data.length - from, room);
      if (from < data.length && length > 0) {
        const whole = from + length === data.length;
        const fin = whole && this.#mayClose && this.random.below(2) === 0 && room > length;
        this.#emit(this.#nxt, ACK | (whole ? PSH : 0) | (fin ? FIN : 0), data.subarray(from, from + length));
        this.#nxt = seq(this.#nxt + length + (fin ? 1 : 0));
      } else if (from === data.length && this.#mayClose && room > 0) {
        this.#emit(this.#nxt, ACK | FIN, new Uint8Array(0));
        this.#nxt = seq(this.#nxt + 1);
      } else break;
    }
  }

  #acknowledge(): void {
    this.#emit(this.#nxt, ACK, new Uint8Array(0));
  }

  receive(segment: TcpSegment): void {
    if (this.state === "closed") return;
    if (this.state === "over") {
      // As a computer that has no such connection, unless it has vanished.
      if (this.habits.end !== "vanish" && (segment.flags & RST) === 0 && (segment.flags & ACK) !== 0 && !this.whole)
        this.#emit(segment.acknowledged, RST, new Uint8Array(0));
      return;
    }
    if (this.state === "synSent") return this.#receiveInSynSent(segment);
    if (segment.flags & RST) {
      // The stack under test must know this side's sequence numbers exactly.
      if (segment.sequence === this.#rcvNxt || distance(segment.sequence, this.#rcvNxt) > 0) {
        this.broken = !this.whole;
        this.#over();
      }
      return;
    }
    if (segment.flags & SYN) return this.#acknowledge();
    this.#takeAcknowledgement(segment);
    this.#takeData(segment);
  }

  #receiveInSynSent(segment: TcpSegment): void {
    if (segment.flags & ACK && segment.acknowledged !== seq(this.#iss + 1)) return;
    if (segment.flags & RST) {
      this.broken = true;
      return this.#over();
    }
    if ((segment.flags & (SYN | ACK)) !== (SYN | ACK)) return;
    this.#readOptions(segment.options);
    this.#rcvNxt = seq(segment.sequence + 1);
    this.#edge = this.#rcvNxt;
    this.#una = segment.acknowledged;
    this.#window = segment.window;
    this.#tries = 0;
    this.state = "open";
    this.#acknowledge();
    this.#keepAlive();
    this.world.at(this.habits.pauseUs, () => {
      if (this.state !== "open") return;
      this.#output();
      this.#arm();
    });
  }

  /** Finds out whether the other side still has the connection. */
  #keepAlive(): void {
    this.world.at(100_000_000, () => {
      if (this.state !== "open" || this.whole) return;
      this.#emit(seq(this.#nxt - 1), ACK, new Uint8Array(0));
      this.#keepAlive();
    });
  }

  #readOptions(options: Uint8Array): void {
    for (let at = 0; at < options.length; ) {
      const kind = options[at];
      if (kind === 1) {
        at++;
        continue;
      }
      if (kind === 2) this.#segment = Math.min(this.habits.segment, ((options[at + 2] as number) << 8) | (options[at + 3] as number));
      if (kind === 3) {
        assert(this.habits.scale !== undefined, "scaling is only answered, never imposed");
        this.#scaled = true;
        this.#scaleOut = options[at + 2] as number;
      }
      if (kind === 4) assert(this.habits.sack, "SACK is only answered");
      at += options[at + 1] as number;
    }
  }

  #takeAcknowledgement(segment: TcpSegment): void {
    const number = segment.acknowledged;
    const highest = seq(this.#iss + 1 + this.habits.data.length + 1);
    assert(distance(number, highest) <= 0, "no byte is acknowledged that was not sent");
    for (const [first, end] of sackBlocks(segment.options)) {
      assert(this.habits.sack, "SACK was agreed on");
      assert(
        distance(end, first) > 0 && distance(first, number) > 0 && distance(end, highest) <= 0,
        "a SACK block of bytes that were sent",
      );
    }
    if (distance(number, this.#una) < 0) return;
    this.#window = segment.window << (this.#scaled ? this.#scaleOut : 0);
    if (number !== this.#una) {
      this.#una = number;
      if (distance(this.#nxt, number) < 0) this.#nxt = number;
      this.#tries = 0;
      if (this.#mayClose && distance(number, seq(this.#iss + 1)) === this.habits.data.length + 1) this.#finAcknowledged = true;
      this.#arm();
    }
    this.#output();
  }

  #takeData({ sequence, data, flags }: TcpSegment): void {
    if (data.length === 0 && (flags & FIN) === 0) {
      if (distance(sequence, this.#rcvNxt) < 0) this.#acknowledge(); // a keep-alive
      return;
    }
    assert(
      distance(seq(sequence + data.length), this.#edge) <= 1 || data.length === 0,
      `no byte beyond the window, but a probe's: port ${this.ends.port}, ${sequence} + ${data.length} beyond ${this.#edge}`,
    );
    if (flags & FIN) this.#finAt = seq(sequence + data.length);
    const free = this.habits.buffer - this.#unread;
    if (distance(seq(sequence + data.length), seq(this.#rcvNxt + free)) <= 0) this.#ahead.set(sequence, data);
    this.#drain();
    this.#acknowledge();
  }

  #drain(): void {
    for (let again = true; again; ) {
      again = false;
      for (const [sequence, data] of this.#ahead) {
        const old = distance(this.#rcvNxt, sequence);
        if (old < 0) continue;
        this.#ahead.delete(sequence);
        if (old < data.length) this.#take(data.subarray(old));
        again = true;
        break;
      }
    }
    if (this.#finAt !== this.#rcvNxt || this.finReceived) return;
    this.#rcvNxt = seq(this.#rcvNxt + 1);
    this.finReceived = true;
    if (this.#mayClose) return;
    this.#mayClose = true;
    this.#output();
    this.#arm();
  }

  #take(bytes: Uint8Array): void {
    this.#received.push(bytes.slice());
    this.#receivedBytes += bytes.length;
    this.#rcvNxt = seq(this.#rcvNxt + bytes.length);
    if (this.habits.readUs === 0) return;
    this.#unread += bytes.length;
    this.world.at(this.random.below(this.habits.readUs), () => {
      const was = this.habits.buffer - this.#unread;
      this.#unread -= bytes.length;
      if (was < Math.min(1460, this.habits.buffer / 2) && this.state === "open") this.#acknowledge();
    });
  }
}
