/**
 * Messages that the journal has and the flow has not taken up: after a start, while the queue was full, after a drain. New messages must
 * not overtake them.
 */
import type { Clock, MemoryAccount } from "#base";
import { ByteWindow } from "../contract/byte-window.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Journal, Lease } from "../journal/journal.ts";
import type { Persistence } from "./persistence.ts";

export interface BacklogPorts {
  readonly flow: string;
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly messages: MemoryAccount;
  /** Places in the flow's queue; not above 0: none. */
  readonly room: () => number;
  /** True when the flow has no message in hand: one may enter however little memory there is, or a long one would wait for ever. */
  readonly idle: () => boolean;
  readonly enter: (lease: Lease) => void;
}

export class Backlog {
  #waiting = true;
  /** The journal may have got more since a lease was begun. */
  #changed = false;
  readonly #ports: BacklogPorts;
  readonly #window: ByteWindow;
  #taking = false;
  #stopped = false;
  #cancelTimer: (() => void) | undefined;

  constructor(ports: BacklogPorts) {
    this.#ports = ports;
    this.#window = new ByteWindow(ports.messages);
  }

  /** True while the journal may have messages that are not here. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** The journal has messages that are not here. */
  more(): void {
    this.#waiting = true;
    this.#changed = true;
  }

  /** Takes up as many as the queue and memory have room for. */
  async take(): Promise<void> {
    if (this.#taking || this.#stopped) return;
    this.#taking = true;
    try {
      while (await this.#takeSome());
    } finally {
      this.#taking = false;
    }
  }

  /** True when there may be more to take now. */
  async #takeSome(): Promise<boolean> {
    const { flow, journal, persistence, room } = this.#ports;
    const places = room();
    if (places <= 0) return false;
    const most = Math.max(this.#window.fits(places), this.#ports.idle() ? 1 : 0);
    if (most === 0) {
      this.later();
      return false;
    }
    this.#changed = false;
    const leases = (await persistence.keepTrying(() => journal.lease(flow, most))) ?? [];
    for (const lease of leases) {
      if (lease.damage !== undefined) {
        persistence.damaged(lease.damage, lease.message.id, "the message");
        continue;
      }
      this.#window.saw(lease.message.body.length + gatewayLimits.messageBytes);
      this.#ports.enter(lease);
    }
    if (leases.length === most || this.#changed) return true;
    this.#waiting = false;
    return false;
  }

  /** Looks again after a while: memory may be free by then, also when nothing of this flow ends. */
  later(): void {
    if (this.#stopped || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#ports.clock.after(gatewayLimits.retryAfterMs, () => {
      this.#cancelTimer = undefined;
      if (this.waiting) void this.take();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
  }
}
