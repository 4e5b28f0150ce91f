/**
 * Slots as a checkpoint has them: bytes, which are read when a slot is asked for. In memory are these and, in typed arrays, where each slot
 * is found by its sequence, its id and its waits. They never change; one that is woken or ends is taken out, and becomes an object of its own.
 */
import { assert } from "#base";
import type { Sequence } from "./journal.ts";
import { HashChains, hashOfNumber } from "./hash-chains.ts";
import { SeededHash, type TextHasher } from "./seeded-hash.ts";
import type { Slot } from "./slot.ts";

/** Slots that stand together, in one record. */
export interface SlotPack<Stored> {
  readonly length: number;
  /** Slots that have headers or files of their own. */
  readonly marked: readonly number[];
  sequence(at: number): Sequence;
  flow(at: number): string;
  imageSha256(at: number): string;
  dueMs(at: number): number;
  id(at: number): string;
  waits(at: number): readonly string[];
  stored(at: number): Stored;
  /** It is stored there from now on. */
  store(at: number, stored: Stored): void;
  /** Bytes of its texts and numbers. */
  bytes(at: number): number;
  slot(at: number): Slot<Stored>;
  /** Of its id, after `salt`. */
  idHash(at: number, hash: TextHasher, salt: number): number;
  /** Of its waits without their flow, each after `salt`. */
  waitHashes(at: number, hash: TextHasher, salt: number): Iterable<number>;
}

/** Slots as they were at one moment; reading it later gives the same ones. */
export interface PackedSnapshot<Stored> {
  readonly length: number;
  slots(): Iterable<Slot<Stored>>;
  stored(): Iterable<readonly [sequence: Sequence, stored: Stored]>;
}

interface KeptPack<Stored> {
  readonly pack: SlotPack<Stored>;
  left: number;
}

export class PackedSlots<Stored> {
  /** A pack of which no slot is left is forgotten. */
  readonly #packs: (KeptPack<Stored> | undefined)[] = [];
  readonly #hash: TextHasher;
  readonly #salts = new Map<string, number>();
  /** Of every slot, gone ones too: its sequence or -1, its pack, its place in that. */
  #sequences = new Float64Array(16);
  #packOf = new Uint32Array(16);
  #at = new Uint32Array(16);
  #count = 0;
  #bySequence = new HashChains();
  #byId = new HashChains();
  #byWait = new HashChains();
  #size = 0;
  #bytes = 0;

  constructor(hash: TextHasher = new SeededHash()) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#size;
  }

  /** Of the slots that are left, as a checkpoint has them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds slots of a pack one by one. One that grows is given again. */
  adding(pack: SlotPack<Stored>): (at: number) => void {
    const last = this.#packs.at(-1);
    const kept: KeptPack<Stored> = last?.pack === pack ? last : { pack, left: 0 };
    let number = this.#packs.length - 1;
    let [flow, salt]: [string | undefined, number] = [undefined, 0];
    return (at) => {
      if (this.#packs[number] !== kept) number = this.#packs.push(kept) - 1; // it is forgotten while no slot of it is here
      if (this.#count === this.#sequences.length) this.#grow();
      const slot = this.#count++;
      const sequence = pack.sequence(at);
      if (pack.flow(at) !== flow) salt = this.#salt((flow = pack.flow(at)));
      this.#sequences[slot] = sequence;
      this.#packOf[slot] = number;
      this.#at[slot] = at;
      kept.left += 1;
      this.#size += 1;
      this.#bytes += pack.bytes(at);
      this.#bySequence.add(hashOfNumber(sequence), slot);
      this.#byId.add(pack.idHash(at, this.#hash, salt), slot);
      for (const hash of pack.waitHashes(at, this.#hash, salt)) this.#byWait.add(hash, slot);
    };
  }

  has(sequence: Sequence): boolean {
    return this.#find(sequence) !== undefined;
  }

  /** True if it is of this flow and due then. */
  isDue(sequence: Sequence, flow: string, dueMs: number): boolean {
    const slot = this.#find(sequence);
    if (slot === undefined) return false;
    const { pack, at } = this.#place(slot);
    return pack.dueMs(at) === dueMs && pack.flow(at) === flow;
  }

  /** A copy of it. */
  slot(sequence: Sequence): Slot<Stored> | undefined {
    const slot = this.#find(sequence);
    return slot === undefined ? undefined : this.#read(slot);
  }

  /** Takes it out, once nobody has to find it by its id and its waits here. */
  take(sequence: Sequence): void {
    const slot = this.#find(sequence);
    if (slot === undefined) return;
    const { pack, at, kept } = this.#place(slot);
    this.#bySequence.take(hashOfNumber(sequence), (each) => each === slot);
    this.#sequences[slot] = -1;
    this.#size -= 1;
    this.#bytes -= pack.bytes(at);
    kept.left -= 1;
    if (kept.left === 0) this.#packs[this.#packOf[slot] as number] = undefined;
    if (this.#size === 0) this.#clear();
  }

  /**
   * Those that wait for it, each with it. They are not found by this wait any more, nor by another one that happens to have the same hash: such a
   * wait is given as well.
   */
  takeWaiting(flow: string, wait: string): (readonly [sequence: Sequence, wait: string])[] {
    if (this.#size === 0) return [];
    const hashOf = (each: string): number => this.#hash.ofText(each.slice(flow.length + 1), this.#salt(flow));
    const hash = hashOf(wait);
    const taken: (readonly [Sequence, string])[] = [];
    const seen = new Set<number>();
    this.#byWait.take(hash, (slot) => {
      const { pack, at } = this.#place(slot);
      const waits = pack.waits(at);
      if (!waits.includes(wait)) return false;
      if (seen.has(slot)) return true;
      seen.add(slot);
      for (const each of waits) if (each === wait || hashOf(each) === hash) taken.push([this.#sequences[slot] as Sequence, each]);
      return true;
    });
    return taken;
  }

  /** Those of this id, in the order in which they were added. They are not found by it any more. */
  takeNamed(flow: string, id: string): Sequence[] {
    if (this.#size === 0) return [];
    const named = (slot: number): boolean => {
      const { pack, at } = this.#place(slot);
      return pack.id(at) === id && pack.flow(at) === flow;
    };
    const slots = this.#byId.take(this.#hash.ofText(id, this.#salt(flow)), named).sort((one, other) => one - other);
    return slots.map((slot) => this.#sequences[slot] as Sequence);
  }

  /** It is stored there from now on, if `move` says so. */
  move(sequence: Sequence, move: (stored: Stored) => Stored | undefined): boolean {
    const slot = this.#find(sequence);
    if (slot === undefined) return false;
    const { pack, at } = this.#place(slot);
    const to = move(pack.stored(at));
    if (to !== undefined) pack.store(at, to);
    return to !== undefined;
  }

  /** Copies of those that have headers or files of their own. */
  *marked(): Iterable<Slot<Stored>> {
    for (const [number, kept] of this.#packs.entries())
      for (const at of kept?.pack.marked ?? []) {
        const slot = kept?.pack.slot(at);
        const now = slot && this.#find(slot.sequence); // it may have been put again since, into this pack or another
        if (now !== undefined && this.#packOf[now] === number && this.#at[now] === at) yield this.#read(now);
      }
  }

  snapshot(): PackedSnapshot<Stored> {
    // Arrays that are read here are never changed before their end, only replaced.
    const packs = [...this.#packs];
    const [packOf, ats, sequences] = [this.#packOf, this.#at, this.#sequences];
    const live = new Uint32Array(this.#size);
    let length = 0;
    for (let slot = 0; slot < this.#count; slot++) if ((sequences[slot] as number) >= 0) live[length++] = slot;
    const each = function* <T>(read: (pack: SlotPack<Stored>, at: number) => T): Iterable<T> {
      for (const slot of live) {
        const kept = packs[packOf[slot] as number];
        if (kept !== undefined) yield read(kept.pack, ats[slot] as number);
      }
    };
    return {
      length,
      slots: () => each((pack, at) => pack.slot(at)),
      stored: () => each((pack, at) => [pack.sequence(at), pack.stored(at)] as const),
    };
  }

  /** In no order. */
  *sequences(): Iterable<Sequence> {
    for (let slot = 0; slot < this.#count; slot++) if ((this.#sequences[slot] as number) >= 0) yield this.#sequences[slot] as Sequence;
  }

  #find(sequence: Sequence): number | undefined {
    return this.#size === 0 ? undefined : this.#bySequence.find(hashOfNumber(sequence), (slot) => this.#sequences[slot] === sequence);
  }

  #read(slot: number): Slot<Stored> {
    const { pack, at } = this.#place(slot);
    return pack.slot(at);
  }

  #place(slot: number): { readonly pack: SlotPack<Stored>; readonly at: number; readonly kept: KeptPack<Stored> } {
    const kept = this.#packs[this.#packOf[slot] as number];
    assert(kept !== undefined, "a slot that is found is in a pack");
    return { pack: kept.pack, at: this.#at[slot] as number, kept };
  }

  #salt(flow: string): number {
    let salt = this.#salts.get(flow);
    if (salt === undefined) this.#salts.set(flow, (salt = this.#hash.ofText(flow, 0)));
    return salt;
  }

  #grow(): void {
    const slots = this.#count * 2;
    const [sequences, packOf, at] = [new Float64Array(slots), new Uint32Array(slots), new Uint32Array(slots)];
    sequences.set(this.#sequences);
    packOf.set(this.#packOf);
    at.set(this.#at);
    [this.#sequences, this.#packOf, this.#at] = [sequences, packOf, at];
  }

  /** Gives all memory back. */
  #clear(): void {
    this.#packs.length = 0;
    this.#salts.clear();
    this.#sequences = new Float64Array(16);
    this.#packOf = new Uint32Array(16);
    this.#at = new Uint32Array(16);
    this.#count = 0;
    this.#bySequence = new HashChains();
    this.#byId = new HashChains();
    this.#byWait = new HashChains();
  }
}
